// SPDX-License-Identifier: GPL-2.0-or-later
// What keeps the hostile guest at work: vCPUs that lost themselves begin anew, and the handlers come back.
#pragma once

#include "lib/cpu.hpp"

namespace hostile {

using namespace guest;

// The vCPU's work: called on a fresh stack, again after each loss. Never returns.
using Work = void (*)(u32 id);
void keep_ground(Work work, u32 cpus);

// Called by each vCPU that works now and then, with a count that grows.
void note_steps(u32 id, u64 steps);

// The vCPU behind those that work does nothing but wake them, and begin anew those that have noted nothing
// for long. It is to be let alone. Never returns.
[[noreturn]] void look_after_others(u32 id);
u32 keeper();

// All that wait or are lost begin their work anew, now.
void call_back(u32 id);

// How often vCPUs began anew: by an exception that nobody expected, and because they stood still.
u64 losses_by_exception();
u64 losses_by_silence();

}  // namespace hostile
