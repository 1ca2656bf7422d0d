// SPDX-License-Identifier: GPL-2.0-or-later
// The policy of a table: who runs when, over and over (ARINC 653, part 1: time partitioning).
#pragma once

#include "sched/policy.hpp"

namespace domus::sched {

const Policy& arinc653();

inline constexpr u32 kArincMostEntries = 64;

struct ArincEntry {
    std::array<u8, 16> handle{};  // the domain's UUID
    VcpuId vcpu{};
    Nanos runtime = 0;
};

struct ArincTable {
    Nanos major_frame = 0;
    u32 count = 0;
    bool given = false;  // by the toolstack; until then there is a place for each of dom0's units
    Nanos start = 0;     // of the running major frame
    ArincEntry entries[kArincMostEntries];
};

// EINVAL: no entries or too many, one without time, or more time than the frame has.
Result<> check(const ArincTable& table);
// The table of a pool with this policy. Change it through Engine::change_pool().
ArincTable& arinc_table(Pool& pool);

}  // namespace domus::sched
