// SPDX-License-Identifier: GPL-2.0-or-later
// Range sets against a set of single numbers.
#include "core/rangeset.hpp"

#include <random>
#include <set>

#include "core_fixture.hpp"

namespace domus {
namespace {

class RangeSetTest : public CoreTest {};

TEST_F(RangeSetTest, BehavesAsASetOfNumbers) {
    std::mt19937 random(3);
    core::Ranges ranges;
    std::set<u64> model;
    constexpr u64 kUniverse = 60;
    for (int step = 0; step < 20000; step++) {
        const u64 first = random() % kUniverse, last = first + random() % 12;
        if (random() % 2 != 0) {
            ASSERT_TRUE(ranges.add(first, last));
            for (u64 i = first; i <= last; i++) model.insert(i);
        } else {
            ASSERT_TRUE(ranges.remove(first, last));
            for (u64 i = first; i <= last; i++) model.erase(i);
        }
        std::set<u64> held;
        u64 previous_end = 0;
        bool any = false;
        for (const core::Range& r : ranges.all()) {
            ASSERT_LE(r.first, r.last);
            ASSERT_TRUE(!any || r.first > previous_end + 1) << "ranges must not touch";
            previous_end = r.last;
            any = true;
            for (u64 i = r.first; i <= r.last; i++) held.insert(i);
        }
        ASSERT_EQ(held, model);
        bool all = true, some = false;
        for (u64 i = first; i <= last; i++) (model.contains(i) ? some : all) = model.contains(i);
        ASSERT_EQ(ranges.contains(first, last), all);
        ASSERT_EQ(ranges.overlaps(first, last), some);
    }
}

TEST_F(RangeSetTest, TheEndsOfTheNumbers) {
    core::Ranges r;
    ASSERT_TRUE(r.add(0, ~u64{0}));
    EXPECT_TRUE(r.contains(~u64{0}, ~u64{0}));
    ASSERT_TRUE(r.remove(0, 0));
    ASSERT_TRUE(r.remove(~u64{0}, ~u64{0}));
    EXPECT_EQ(r.all().size(), 1u);
    EXPECT_EQ(r.all()[0], (core::Range{1, ~u64{0} - 1}));
    ASSERT_TRUE(r.add(~u64{0}, ~u64{0}));
    EXPECT_EQ(r.all().size(), 1u);
    EXPECT_ERROR(r.add(2, 1), inval);
    EXPECT_FALSE(r.contains(3, 2));
}

TEST_F(RangeSetTest, WithoutMemoryNothingChanges) {
    core::Ranges r;
    for (u64 i = 0; i < 7; i++) ASSERT_TRUE(r.add(i * 10, i * 10 + 1));
    // Use up what the allocator has at hand until an addition fails.
    std::vector<Mfn> eaten;
    for (auto m = alloc_frames(0); m; m = alloc_frames(0)) eaten.push_back(*m);
    bool failed = false;
    for (u64 i = 7; i < 100000 && !failed; i++) {
        const usize before = r.all().size();
        if (!r.add(i * 10, i * 10 + 1)) {
            failed = true;
            EXPECT_EQ(r.all().size(), before);
            EXPECT_FALSE(r.overlaps(i * 10, i * 10 + 1));
            EXPECT_TRUE(r.contains(0, 1));
        }
    }
    EXPECT_TRUE(failed);
    for (Mfn m : eaten) free_frames(m, 0);
}

}  // namespace
}  // namespace domus
