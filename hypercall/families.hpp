// SPDX-License-Identifier: GPL-2.0-or-later
// The hypercalls' entry functions, one a family; each is defined in the family's file.
#pragma once

#include "hypercall/argument.hpp"
#include "hypercall/caller.hpp"
#include "hypercall/outcome.hpp"

namespace domus::hypercall {

// pv_state.cpp
Preemptible<GuestAddr> set_trap_table(Caller& caller, GuestAddr traps);
Result<> set_callbacks(Caller& caller, GuestLong event, GuestLong failsafe, GuestLong syscall);
Result<s64> callback_op(Caller& caller, u32 command, GuestAddr arg);
Result<s64> nmi_op(Caller& caller, u32 command, GuestAddr arg);
Result<> stack_switch(Caller& caller, GuestLong ss, GuestLong sp);
Result<> fpu_taskswitch(Caller& caller, s32 set);
Result<> set_segment_base(Caller& caller, u32 which, GuestLong base);
Result<> set_debugreg(Caller& caller, u32 reg, GuestLong value);
Result<s64> get_debugreg(Caller& caller, u32 reg);
Result<> vm_assist(Caller& caller, u32 command, u32 type);
Outcome iret(Caller& caller);

// mmu.cpp
Preemptible<GuestAddr, u32, GuestAddr, u32> mmu_update(Caller& caller, GuestAddr list, u32 count,
                                                       GuestAddr pdone, u32 domain);
Preemptible<GuestAddr, u32, GuestAddr, u32> mmuext_op(Caller& caller, GuestAddr list, u32 count,
                                                      GuestAddr pdone, u32 domain);
Result<> update_va_mapping(Caller& caller, GuestLong va, u64 value, GuestLong flags);
Result<> update_va_mapping_otherdomain(Caller& caller, GuestLong va, u64 value, GuestLong flags,
                                       DomId domain);

// version.cpp
Result<s64> xen_version(Caller& caller, u32 command, GuestAddr arg);

}  // namespace domus::hypercall
