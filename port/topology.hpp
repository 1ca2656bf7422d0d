// SPDX-License-Identifier: GPL-2.0-or-later
// How the processors belong together.
#pragma once

#include "base/types.hpp"

namespace domus {

// Numbers count from 0: a core within its socket, a thread within its core.
struct CpuTopology {
    u32 thread = 0, core = 0, socket = 0, node = 0;
    constexpr bool operator==(const CpuTopology&) const = default;
};

inline constexpr u32 kMaxNodes = 64;  // of memory, so that a set of them is one word

namespace port {
// `cpu` is below cpu_count().
CpuTopology cpu_topology(CpuId cpu);
}  // namespace port

}  // namespace domus
