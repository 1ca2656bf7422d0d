// SPDX-License-Identifier: GPL-2.0-or-later
// The end of the machine, with a report that says why.
#pragma once

#include "arch_state/regs.hpp"

namespace domus::x86 {

// An exception the hypervisor did not expect of itself.
[[noreturn]] void crash_on_exception(const GuestRegs& regs, u64 fault_address);

// Dom0 has ended with the reason "crash".
[[noreturn]] void report_dom0_crash();

// What an NMI that nobody of ours has sent leads to: the option nmi=.
enum class NmiPolicy : u8 { ignore, dom0, fatal };
void set_nmi_policy(NmiPolicy policy);

void handle_nmi(GuestRegs& regs);

// Leaves an exception handler of the hypervisor for exit_to_guest, dropping the stack.
extern "C" [[noreturn]] void restart_exit();

}  // namespace domus::x86
