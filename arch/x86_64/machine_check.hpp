// SPDX-License-Identifier: GPL-2.0-or-later
// Machine checks: what the hardware says of its own errors (Intel SDM vol. 3, chapter 16; AMD APM vol. 2,
// chapter 9).
#pragma once

namespace domus::x86 {

// Lets this CPU report all errors that its banks know. CR4.MCE is set apart.
void enable_machine_checks();

// Logs this CPU's status registers; for a crash report.
void log_machine_checks();

}  // namespace domus::x86
