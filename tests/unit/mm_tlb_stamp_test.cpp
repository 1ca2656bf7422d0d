// SPDX-License-Identifier: GPL-2.0-or-later
// The clock of TLB flushes goes round its lower 32 bits: nothing may seem flushed that is not.
#include "mm/tlb_stamp.hpp"

#include <gtest/gtest.h>

namespace domus {
namespace {

constexpr u64 kRound = u64{1} << 32;

TEST(TlbStamp, ComparesAcrossAnyDistance) {
    for (const u64 stamped : {u64{1}, kRound / 2, kRound - 1, kRound, 5 * kRound - 3, 7 * kRound + 9}) {
        const u32 stamp = static_cast<u32>(stamped);
        for (const u64 later : {u64{0}, u64{1}, kRound / 2 - 1, kRound / 2, kRound / 2 + 1, kRound - 1}) {
            const u64 now = stamped + later;
            EXPECT_EQ(stamped_at(now, stamp), stamped);
            EXPECT_TRUE(flushed_after(stamped + 1, now, stamp));
            // A CPU that has not flushed since, for however long.
            for (const u64 before : {u64{0}, u64{1}, kRound / 2 - 1, kRound / 2 + 1, kRound, kRound + 1}) {
                if (before <= stamped) {
                    EXPECT_FALSE(flushed_after(stamped - before, now, stamp)) << stamped << " " << before;
                }
            }
        }
    }
}

// More than 2^32 ticks later a stamp looks younger than it is, never older.
TEST(TlbStamp, AVeryOldStampAsksForAFlush) {
    for (u64 later = kRound; later < 5 * kRound; later += kRound / 3) {
        EXPECT_GT(stamped_at(1000 + later, 1000), 1000u);
        EXPECT_FALSE(flushed_after(1000, 1000 + later, 1000));
    }
}

TEST(TlbStamp, TheLaterOfTwoCoversBoth) {
    EXPECT_EQ(later_stamp(100, 10, 20), 20u);
    EXPECT_EQ(later_stamp(100, 20, 10), 20u);
    EXPECT_EQ(later_stamp(5, 0xfffffff0, 3), 3u);
    EXPECT_EQ(later_stamp(5, 3, 0xfffffff0), 3u);
    // More than half a round apart: by their age, not by their difference.
    EXPECT_EQ(later_stamp(0xffffff00, 10, 0xf0000000), 0xf0000000u);
}

}  // namespace
}  // namespace domus
