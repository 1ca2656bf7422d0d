// SPDX-License-Identifier: GPL-2.0-or-later
// A processor whose CPUID leaves a test writes down.
#pragma once

#include <map>
#include <utility>

#include "port/cpuid.hpp"

namespace domus::fakes {
extern std::map<std::pair<u32, u32>, CpuidLeaf> cpuid_leaves;  // {leaf, subleaf}; others answer zeros
}
