// SPDX-License-Identifier: GPL-2.0-or-later
// A PV vCPU's whole state as the toolstack and VCPUOP_initialise hand it over (public arch-x86/xen.h,
// vcpu_guest_context). The port's vcpu_set_context and vcpu_drop_context (port/context.hpp) come here.
#pragma once

#include "abi/xen.hpp"
#include "base/result.hpp"
#include "core/vcpu.hpp"

namespace domus::pv {

// All of them take the 64-bit structure, for 32-bit guests made by pv/context32.hpp.
// The checks that need nothing but the structure. EINVAL: an address that is not canonical, table sizes out
// of range, a vCPU in user mode without a user table.
Result<> check_context(const vcpu_guest_context_t& c, bool is_32bit = false);

// Checks and installs a context in a vCPU that runs nowhere. EINVAL: as above, or a page that cannot be what
// it is to be. RESTART: preempted while a page table was validated; nothing has changed, progress is kept,
// call again.
Result<> set_context(Vcpu& v, const vcpu_guest_context_t& c);

// The state of a vCPU that is on no CPU, as set_context takes it. VGCF_online is the caller's to add.
void get_context(const Vcpu& v, vcpu_guest_context_t& c);

// Drops what a context holds: page tables and descriptor pages. The vCPU runs nowhere. RESTART: call again.
Result<> drop_context(Vcpu& v);

}  // namespace domus::pv
