// SPDX-License-Identifier: GPL-2.0-or-later
// The machine as a whole: how it ends.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::port {

// After a crash report: reboots, or stops if the option noreboot says so.
[[noreturn]] void machine_crashed();

// NMIs from outside that have come since the last call (Work::nmi), and what the board says of their cause.
struct NmiReport {
    u32 count = 0;
    bool system_error = false, device_error = false;
    bool for_dom0 = false;  // the option nmi= says that dom0 is to be told
};
NmiReport take_nmis();

// Dom0's ACPI code has prepared a sleep state and names the values for the PM1 control registers (platform
// operation enter_acpi_sleep): the sleep type bits are written, then the enable bit. S5 does not return but
// in error. NODEV: no such registers.
Result<> enter_sleep(u16 pm1a_control, u16 pm1b_control);

}  // namespace domus::port
