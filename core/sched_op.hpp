// SPDX-License-Identifier: GPL-2.0-or-later
// The operations of sched_op (public sched.h) that concern one vCPU. `v` is the current vCPU. Shutting down
// is in core/domain.hpp, watchdogs in core/watchdog.hpp.
#pragma once

#include <span>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {
struct Vcpu;
}

namespace domus::core {

inline constexpr u32 kMaxPolledPorts = 128;

void vcpu_yield(Vcpu& v);

// Enables event delivery and sleeps until an event is pending; returns at once, the CPU switches on its way
// out.
void vcpu_block(Vcpu& v);

// Sleeps until one of the ports is pending, an event is deliverable, or system time `timeout` (ns, 0: none)
// has come. EINVAL: more than kMaxPolledPorts, or a port that is not in use.
Result<> vcpu_poll(Vcpu& v, std::span<const u32> ports, u64 timeout);

}  // namespace domus::core
