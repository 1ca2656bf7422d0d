// SPDX-License-Identifier: GPL-2.0-or-later
// The policy of reservations: so much time in every period, earliest deadline first.
#pragma once

#include "sched/policy.hpp"

namespace domus::sched {

const Policy& rtds();

inline constexpr Nanos kRtdsMostPeriod = 1000 * kSecond;
inline constexpr Nanos kRtdsLeastPeriod = 10 * kMicrosecond;
inline constexpr Nanos kRtdsLeastBudget = 10 * kMicrosecond;

}  // namespace domus::sched
