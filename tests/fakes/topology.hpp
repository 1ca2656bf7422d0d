// SPDX-License-Identifier: GPL-2.0-or-later
// A topology that a test writes down.
#pragma once

#include <vector>

#include "port/topology.hpp"

namespace domus::fakes {
extern std::vector<CpuTopology> topology;  // by CPU; those past the end are cores of socket 0
}
