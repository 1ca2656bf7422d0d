// SPDX-License-Identifier: GPL-2.0-or-later
// The end of the machine, with a report that says why.
#pragma once

#include "arch_state/regs.hpp"

namespace domus::x86 {

// An exception the hypervisor did not expect of itself.
[[noreturn]] void crash_on_exception(const GuestRegs& regs, u64 fault_address);

void handle_nmi(GuestRegs& regs);

// Leaves an exception handler of the hypervisor for exit_to_guest, dropping the stack.
extern "C" [[noreturn]] void restart_exit();

}  // namespace domus::x86
