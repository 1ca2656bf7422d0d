// SPDX-License-Identifier: GPL-2.0-or-later
// The real-time clock of a PC. Source: Motorola MC146818 data sheet; the century's register is named by
// ACPI's FADT.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::x86 {

// Seconds since 1970. The clock is taken to run in UTC. `century_register`: 0 if the machine has none. IO:
// the clock does not answer or shows no valid time.
Result<u64> read_cmos_clock(u8 century_register);

}  // namespace domus::x86
