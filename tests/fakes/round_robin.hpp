// SPDX-License-Identifier: GPL-2.0-or-later
// First come, first served.
#pragma once

#include "sched/policy.hpp"

namespace domus::sched {

const Policy& round_robin();

}  // namespace domus::sched
