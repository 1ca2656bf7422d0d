// SPDX-License-Identifier: GPL-2.0-or-later
// Being told of every change of a unit's state; for traces.
#pragma once

#include "sched/unit.hpp"

namespace domus::sched {

// Called with the unit's queue locked, on the CPU that changes the state.
using StateObserver = void (*)(const Unit& u, RunState from, RunState to);
// Null: nobody. A CPU may still call the former one for a moment.
void observe_states(StateObserver observer);

}  // namespace domus::sched
