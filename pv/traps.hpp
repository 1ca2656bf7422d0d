// SPDX-License-Identifier: GPL-2.0-or-later
// The virtual IDT and the entry points of a guest kernel: set_trap_table, set_callbacks, callback_op, nmi_op,
// stack_switch.
#pragma once

#include "abi/xen.hpp"
#include "arch_state/pv_vcpu.hpp"
#include "base/result.hpp"

namespace domus::pv {

inline constexpr u32 kTrapCount = 256;

// One row of the guest's table. EINVAL: the address is not canonical. A row with address 0 and selector 0
// takes the handler away.
Result<> set_trap(PvVcpu& pv, const trap_info_t& info);
void clear_traps(PvVcpu& pv);

// CALLBACKTYPE_*. EINVAL: address not canonical, or a callback that cannot be taken away. ENOSYS: no such
// type. `cs` counts in 32-bit guests; 0 is the ABI's flat kernel segment.
Result<> register_callback(PvVcpu& pv, u16 type, u16 flags, u64 address, u16 cs = 0);
Result<> unregister_callback(PvVcpu& pv, u16 type);

// set_callbacks: all three or none.
Result<> set_callbacks(PvVcpu& pv, u64 event, u64 failsafe, u64 syscall);
// … of a 32-bit guest.
Result<> set_callbacks32(PvVcpu& pv, u16 event_cs, u64 event, u16 failsafe_cs, u64 failsafe);

// The stack on which the guest kernel is entered from guest user mode.
void set_kernel_stack(PvVcpu& pv, u64 ss, u64 sp);

}  // namespace domus::pv
