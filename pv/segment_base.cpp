// SPDX-License-Identifier: GPL-2.0-or-later
// FS and GS bases.
#include "pv/segment_base.hpp"

#include "abi/xen.hpp"
#include "port/pv_hw.hpp"
#include "pv/address.hpp"

namespace domus::pv {

Result<> set_segment_base(Vcpu& v, u32 which, u64 base) {
    PvVcpu& pv = v.pv;
    if (which == SEGBASE_GS_USER_SEL) {
        // Selectors 0 to 3 are the null selector. The hypervisor's own descriptors have privilege level 0,
        // which ring 3's requested level does not reach.
        const u16 selector = static_cast<u16>(base);
        const u16 wanted = selector > 3 ? static_cast<u16>(selector | 3) : selector;
        if (!port::load_gs_user_selector(wanted)) {
            pv.gs = 0;
            return fail(Error::inval);
        }
        pv.gs = wanted;
        return {};
    }
    if (!canonical(base)) return fail(Error::inval);
    switch (which) {
        case SEGBASE_FS:
            pv.fs_base = base;
            port::load_fs_base(base);
            return {};
        case SEGBASE_GS_USER:
            pv.gs_base_user = base;
            port::load_gs_base_user(base);
            return {};
        case SEGBASE_GS_KERNEL:
            pv.gs_base_kernel = base;
            port::load_gs_base_kernel(base);
            return {};
        default: return fail(Error::inval);
    }
}

}  // namespace domus::pv
