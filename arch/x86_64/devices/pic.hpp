// SPDX-License-Identifier: GPL-2.0-or-later
// The two 8259 interrupt controllers of a PC, put aside. Source: Intel 8259A data sheet.
#pragma once

namespace domus::x86 {

// Moves both to vectors of their own (vectors.hpp), where a spurious request does no harm, and masks every
// input.
void disable_pic();

}  // namespace domus::x86
