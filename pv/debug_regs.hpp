// SPDX-License-Identifier: GPL-2.0-or-later
// Debug registers of a PV guest (AMD APM vol. 2, 13.1): set_debugreg, get_debugreg.
#pragma once

#include "arch_state/pv_vcpu.hpp"
#include "base/result.hpp"

namespace domus::pv {

// Checks and stores the value, with its reserved bits set as the CPU has them. EPERM: a breakpoint at an
// address that is not the guest's, I/O breakpoints without CR4.DE, or general detection; ENODEV: a
// number above 7; EINVAL: 4 or 5 with CR4.DE, or a bit above 31 in registers 6 and 7. Nothing is stored on
// error.
Result<> set_debug_reg(PvVcpu& pv, u32 reg, u64 value);

// The value as the guest set it; register 6 is as last stored. EINVAL: no such register.
Result<u64> get_debug_reg(const PvVcpu& pv, u32 reg);

}  // namespace domus::pv
