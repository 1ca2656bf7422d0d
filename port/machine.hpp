// SPDX-License-Identifier: GPL-2.0-or-later
// The machine as a whole: how it ends.
#pragma once

namespace domus::port {

// After a crash report: reboots, or stops if the option noreboot says so.
[[noreturn]] void machine_crashed();

}  // namespace domus::port
