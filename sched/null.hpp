// SPDX-License-Identifier: GPL-2.0-or-later
// The policy that does not share: a CPU for each unit, and no timer ever.
#pragma once

#include "sched/policy.hpp"

namespace domus::sched {

const Policy& null();

}  // namespace domus::sched
