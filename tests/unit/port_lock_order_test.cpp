// SPDX-License-Identifier: GPL-2.0-or-later
// The check that every other test's locks go through: taking a lock of no higher rank than one held is a bug.
#include <gtest/gtest.h>

#include "port/lock.hpp"

namespace domus {
namespace {

TEST(LockOrder, RisingRanksAreFine) {
    SpinLock first(Rank::objects), second(Rank::heap);
    LockGuard a(first);
    LockGuard b(second);
}

TEST(LockOrder, FallingAndEqualRanksAreNot) {
    SpinLock heap(Rank::heap), objects(Rank::objects), other_heap(Rank::heap);
    EXPECT_DEATH(
        {
            LockGuard a(heap);
            LockGuard b(objects);
        },
        "lock order");
    EXPECT_DEATH(
        {
            LockGuard a(heap);
            LockGuard b(other_heap);
        },
        "lock order");
}

TEST(LockOrder, APairOfOneRankIsTakenTogether) {
    SpinLock a(Rank::event_channel), b(Rank::event_channel), later(Rank::scheduler),
        earlier(Rank::domain_list);
    {
        PairGuard both(a, b);
        LockGuard inside(later);
        EXPECT_DEATH({ LockGuard guard(earlier); }, "lock order");
    }
    LockGuard after(earlier);
}

}  // namespace
}  // namespace domus
