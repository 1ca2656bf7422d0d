// SPDX-License-Identifier: GPL-2.0-or-later
// The scheduling engine that core feeds, and the CPU's side of a switch.
#pragma once

#include <string_view>

#include "sched/engine.hpp"

namespace domus {
struct Vcpu;
}

namespace domus::core {

// Starts the engine for all CPUs, and pool 0. `policy` as in the sched= option; empty: the default, which is
// also taken, and the log says so, where there is none of this name. ENOMEM.
Result<> init_scheduler(std::string_view policy = {});
sched::Engine& scheduler();

// The vCPU a unit belongs to.
Vcpu& vcpu_of(sched::Unit& unit);

// Chooses what this CPU runs and switches to it.
void reschedule(Nanos now);

}  // namespace domus::core
