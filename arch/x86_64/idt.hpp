// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupt descriptor table, one for all CPUs.
#pragma once

namespace domus::x86 {

// Fills the table; once, on the boot CPU.
void build_idt();
// Loads it on this CPU.
void load_idt();

}  // namespace domus::x86
