// SPDX-License-Identifier: GPL-2.0-or-later
// How many calls were made of each hypercall, and what they returned.
#pragma once

#include "base/types.hpp"

namespace hostile {

using namespace domus;

// The calling vCPU's: number as in RAX, result as returned.
void note_call(u64 number, s64 result);
// One line for each hypercall that was made; returns how many calls there were in all.
u64 report_calls(u32 cpus);

}  // namespace hostile
