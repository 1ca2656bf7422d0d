// SPDX-License-Identifier: GPL-2.0-or-later
// The hypercalls' entry functions, one a family; each is defined in the family's file. Those that look at
// structures or lists whose layout depends on the guest's width are templates over it, instantiated there for
// both.
#pragma once

#include "hypercall/argument.hpp"
#include "hypercall/caller.hpp"
#include "hypercall/outcome.hpp"

namespace domus::hypercall {

// pv_state.cpp
template <class L>
Preemptible<GuestAddr> set_trap_table(Caller& caller, GuestAddr traps);
Result<> set_callbacks(Caller& caller, GuestLong event, GuestLong failsafe, GuestLong syscall);
template <class L>
Result<s64> callback_op(Caller& caller, u32 command, GuestAddr arg);
template <class L>
Result<s64> nmi_op(Caller& caller, u32 command, GuestAddr arg);
Result<> stack_switch(Caller& caller, GuestLong ss, GuestLong sp);
Result<> fpu_taskswitch(Caller& caller, s32 set);
Result<> set_segment_base(Caller& caller, u32 which, GuestLong base);
Result<> set_debugreg(Caller& caller, u32 reg, GuestLong value);
Result<s64> get_debugreg(Caller& caller, u32 reg);
Result<> vm_assist(Caller& caller, u32 command, u32 type);
Outcome iret(Caller& caller);
// The same of 32-bit guests, whose selectors mean something.
Result<> set_callbacks32(Caller& caller, GuestLong event_cs, GuestLong event, GuestLong failsafe_cs,
                         GuestLong failsafe);
Outcome iret32(Caller& caller);

// mmu.cpp
Preemptible<GuestAddr, u32, GuestAddr, u32> mmu_update(Caller& caller, GuestAddr list, u32 count,
                                                       GuestAddr pdone, u32 domain);
template <class L>
Preemptible<GuestAddr, u32, GuestAddr, u32> mmuext_op(Caller& caller, GuestAddr list, u32 count,
                                                      GuestAddr pdone, u32 domain);
Result<> update_va_mapping(Caller& caller, GuestLong va, u64 value, GuestLong flags);
Result<> update_va_mapping_otherdomain(Caller& caller, GuestLong va, u64 value, GuestLong flags,
                                       DomId domain);

// pv_tables.cpp
template <class L>
Result<> set_gdt(Caller& caller, GuestAddr frames, u32 entries);
Result<> update_descriptor(Caller& caller, u64 address, u64 descriptor);

// event_channel.cpp
Preemptible<u32, GuestAddr> event_channel_op(Caller& caller, u32 command, GuestAddr arg);
Result<s64> event_channel_op_compat(Caller& caller, GuestAddr op);

// grant_table_op.cpp
template <class L>
Preemptible<u32, GuestAddr, u32> grant_table_op(Caller& caller, u32 command, GuestAddr arg, u32 count);

// memory_op.cpp
template <class L>
Preemptible<GuestLong, GuestAddr> memory_op(Caller& caller, GuestLong command, GuestAddr arg);

// physdev_op.cpp
Result<s64> physdev_op(Caller& caller, u32 command, GuestAddr arg);
Result<s64> physdev_op32(Caller& caller, u32 command, GuestAddr arg);
Result<s64> physdev_op_compat(Caller& caller, GuestAddr op);

// sched_op.cpp
template <class L>
Result<s64> sched_op(Caller& caller, u32 command, GuestAddr arg);
Result<> sched_op_compat(Caller& caller, u32 command, GuestLong arg);

// vcpu_op.cpp
template <class L>
Preemptible<u32, VcpuId, GuestAddr> vcpu_op(Caller& caller, u32 command, VcpuId vcpu, GuestAddr arg);
Result<> set_timer_op(Caller& caller, u64 when);

// console_io.cpp
Preemptible<u32, u32, GuestAddr> console_io(Caller& caller, u32 command, u32 count, GuestAddr buffer);

// platform_op.cpp, domctl.cpp, sysctl.cpp, mca.cpp
// domctl, sysctl, platform_op: an operation that answers RESTART is made anew, from its structure as the
// caller left it.
Preemptible<GuestAddr> platform_op(Caller& caller, GuestAddr op);
Preemptible<GuestAddr> domctl(Caller& caller, GuestAddr op);
Preemptible<GuestAddr> sysctl(Caller& caller, GuestAddr op);
Result<s64> mca(Caller& caller, GuestAddr arg);

// absent.cpp
Result<s64> xenpmu_op(Caller& caller, u32 command, GuestAddr arg);
Result<s64> hvm_op(Caller& caller, u32 command, GuestAddr arg);

// version.cpp
template <class L>
Result<s64> xen_version(Caller& caller, u32 command, GuestAddr arg);

}  // namespace domus::hypercall
