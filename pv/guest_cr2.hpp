// SPDX-License-Identifier: GPL-2.0-or-later
// CR2 as a PV guest has it: in its vcpu_info, where that of its width has the field.
#pragma once

#include "abi/xen32.hpp"
#include "core/vcpu.hpp"

namespace domus::pv {

inline u64 guest_cr2(const Vcpu& v) {
    vcpu_info_t* const info = v.info_now();
    if (v.pv.is_32bit)
        return __atomic_load_n(&reinterpret_cast<vcpu_info_x86_32*>(info)->arch.cr2, __ATOMIC_RELAXED);
    return __atomic_load_n(&info->arch.cr2, __ATOMIC_RELAXED);
}

inline void set_guest_cr2(Vcpu& v, u64 address) {
    v.pv.cr2 = address;
    if (v.pv.is_32bit) {
        __atomic_store_n(&reinterpret_cast<vcpu_info_x86_32*>(v.info)->arch.cr2, static_cast<u32>(address),
                         __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&v.info->arch.cr2, address, __ATOMIC_RELAXED);
    }
}

}  // namespace domus::pv
