// SPDX-License-Identifier: GPL-2.0-or-later
// A domain's watchdog timers (SCHEDOP_watchdog, public sched.h): a domain that does not poke one in time is
// shut down with SHUTDOWN_watchdog.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"
#include "core/timer.hpp"
#include "port/lock.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

struct Watchdogs {
    static constexpr u32 kCount = 2;
    SpinLock lock{Rank::vcpu_time};
    Timer timers[kCount];
    bool in_use[kCount] = {};
};

// Returns the id of a new watchdog (id 0), or 0. `timeout` in seconds; 0 ends watchdog `id`. EINVAL: no such
// watchdog, or a new one without timeout. ENOSPC: both are in use.
Result<u32> watchdog(Domain& d, u32 id, u32 timeout, Nanos now);
void stop_watchdogs(Domain& d);

}  // namespace domus::core
