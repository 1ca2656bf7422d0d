// SPDX-License-Identifier: GPL-2.0-or-later
// The end of a machine's day: reset, and the ACPI sleep states dom0 asks for.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "base/types.hpp"
#include "drivers/acpi.hpp"
#include "drivers/pci.hpp"

namespace domus::x86 {

// Ways to reset the machine, tried one after the other; the option reboot= names one to begin with.
enum class ResetMethod : u8 { acpi, keyboard, pci, triple_fault };

// "a", "acpi": ACPI's reset register; "k", "kbd": keyboard controller; "p", "pci": port 0xcf9; "t", "triple":
// triple fault.
Result<ResetMethod> parse_reset_method(std::string_view value);

// Tries every method but the triple fault, beginning with `first`; returns if the machine survived them.
// Waits with `wait_us` (microseconds) after each.
void reset_machine(const AcpiInfo& acpi, PciConfig& pci, ResetMethod first, void (*wait_us)(u32));

// Writes the sleep type dom0 found in AML (values of PM1a_CNT and PM1b_CNT without and with SLP_EN as the
// enter_acpi_sleep operation passes them), clearing the wake status first (ACPI 6.4, 16.1.6). Returns if the
// machine does not go to sleep (S5: it should not), or when it wakes up from S1. NODEV: no such registers.
Result<> enter_sleep(const AcpiFadt& fadt, u16 pm1a_control, u16 pm1b_control, void (*wait_us)(u32));

}  // namespace domus::x86
