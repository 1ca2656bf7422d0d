// SPDX-License-Identifier: GPL-2.0-or-later
// Starting the core: once, by boot, when the heap works and port::cpu_count() is final.
#pragma once

#include <string_view>

#include "base/result.hpp"

namespace domus::core {

// `policy` as in the sched= option; empty, or a name that no policy has (which is logged): the default.
// ENOMEM.
Result<> init(std::string_view policy = {});

}  // namespace domus::core
