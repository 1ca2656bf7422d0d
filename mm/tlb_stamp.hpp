// SPDX-License-Identifier: GPL-2.0-or-later
// Comparing TLB stamps. The machine's clock of flushes (port::tlb_clock) is 64 bits wide, of which a frame
// keeps the lower 32: a guest can make the clock go round those in an hour, so two stamps must never be
// compared with each other, only their ages at one time. A stamp older than 2^32 ticks looks younger than it
// is, which costs a flush; nothing ever looks older.
#pragma once

#include "base/types.hpp"

namespace domus {

// The moment that a stamp, taken not later than `now`, stands for: never before the true one.
constexpr u64 stamped_at(u64 now, u32 stamp) { return now - (static_cast<u32>(now) - stamp); }

// Has a CPU whose last complete flush was at `flushed_at` flushed since a frame got its stamp?
constexpr bool flushed_after(u64 flushed_at, u64 now, u32 stamp) {
    return flushed_at > stamped_at(now, stamp);
}

// Of two stamps taken not later than `now` the one that covers both.
constexpr u32 later_stamp(u32 now, u32 a, u32 b) { return now - a < now - b ? a : b; }

}  // namespace domus
