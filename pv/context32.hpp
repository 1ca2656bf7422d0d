// SPDX-License-Identifier: GPL-2.0-or-later
// The context of a 32-bit vCPU (public arch-x86/xen.h, vcpu_guest_context) as the 64-bit structure, the only
// one that the rest of the hypervisor knows.
//
// The 64-bit structure has no room for the selectors of the two callbacks: they take the place of the entry
// point of system calls, which 32-bit guests do not have.
#pragma once

#include "abi/xen32.hpp"
#include "base/types.hpp"

namespace domus::pv {

void widen_context(const vcpu_guest_context_x86_32& from, vcpu_guest_context_t& to);
void narrow_context(const vcpu_guest_context_t& from, vcpu_guest_context_x86_32& to);

struct CallbackSelectors {
    u16 event = 0, failsafe = 0;
};
constexpr u64 pack_selectors(CallbackSelectors s) { return u64{s.event} | u64{s.failsafe} << 32; }
constexpr CallbackSelectors unpack_selectors(u64 packed) {
    return {static_cast<u16>(packed), static_cast<u16>(packed >> 32)};
}

}  // namespace domus::pv
