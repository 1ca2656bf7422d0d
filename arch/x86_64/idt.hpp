// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupt descriptor table, one for all CPUs.
#pragma once

namespace domus::x86 {

// Fills the table for the descriptor tables of boot.S, without stacks of its own for any vector, and loads
// it: from then on a fault is reported. First thing on the boot CPU.
void load_early_idt();
// Fills the table; once, on the boot CPU, before load_cpu_tables().
void build_idt();
// Loads it on this CPU.
void load_idt();

}  // namespace domus::x86
