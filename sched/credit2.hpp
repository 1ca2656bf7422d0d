// SPDX-License-Identifier: GPL-2.0-or-later
// The default policy: proportional shares by credits.
#pragma once

#include "sched/policy.hpp"

namespace domus::sched {

const Policy& credit2();

// What the policy believes a unit owns, ns of virtual time; for tests and the scheduler's debug key. Under
// the lock of the unit's queue.
s64 credit2_credit(const Queue& q, const Unit& u);

inline constexpr Nanos kCredit2Grant = 10 * kMillisecond;
inline constexpr Nanos kCredit2Grain = 4 * kMillisecond;
inline constexpr Nanos kCredit2MaxSlice = 10 * kMillisecond;

}  // namespace domus::sched
