// SPDX-License-Identifier: GPL-2.0-or-later
// Frames that are taken out of use and come back.
#include "mm/page_offline.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "fakes/machine.hpp"
#include "mm/heap.hpp"
#include "mm/objects.hpp"
#include "unit/core_fixture.hpp"

namespace domus {
namespace {

class PageOffline : public testing::Test {
  protected:
    static constexpr u64 kFirst = 256, kFrames = 2048;
    fakes::Machine machine{(kFirst + kFrames) * kPageSize};
    void SetUp() override {
        objects_reset();
        heap_reset();
        ram_add(Mfn(0), kFirst + kFrames);
        heap_add(Mfn(kFirst), kFrames);
    }
    void TearDown() override {
        objects_reset();
        heap_reset();
    }
};

TEST_F(PageOffline, AFreeFrameIsNotHandedOut) {
    const Mfn bad(777);
    EXPECT_EQ(*frame_use(bad), FrameUse::online);
    EXPECT_EQ(*take_frame_offline(bad), FrameUse::offline);
    EXPECT_EQ(*take_frame_offline(bad), FrameUse::offline) << "twice";
    EXPECT_EQ(offline_frames(), 1u);
    EXPECT_EQ(heap_free_frames(), kFrames - 1);
    std::set<u64> all;
    while (const auto m = alloc_frames(0)) all.insert(m->v);
    EXPECT_EQ(all.size(), kFrames - 1);
    EXPECT_FALSE(all.contains(bad.v));
    for (const u64 m : all) free_frames(Mfn(m), 0);
    ASSERT_TRUE(bring_frame_online(bad));
    ASSERT_TRUE(bring_frame_online(bad)) << "twice";
    EXPECT_EQ(heap_free_frames(), kFrames);
    EXPECT_EQ(offline_frames(), 0u);
    EXPECT_TRUE(alloc_frames(10)) << "all have merged again";
    EXPECT_TRUE(alloc_frames(9));
}

TEST_F(PageOffline, AFrameInUseIsWithheldWhenItComesBack) {
    const Mfn block = *alloc_frames(3);
    EXPECT_EQ(*take_frame_offline(block + 5), FrameUse::goes_offline);
    EXPECT_EQ(*take_frame_offline(block + 2), FrameUse::goes_offline);
    EXPECT_EQ(*frame_use(block + 5), FrameUse::goes_offline);
    ASSERT_TRUE(bring_frame_online(block + 2)) << "another mind before that";
    free_guest_frames(block, 3);
    EXPECT_EQ(*frame_use(block + 5), FrameUse::offline);
    EXPECT_EQ(*frame_use(block + 2), FrameUse::online);
    EXPECT_EQ(heap_free_frames(), kFrames - 1);
    // What a guest's TLB may still know of the frame is gone before the next owner gets it.
    while (alloc_frames(0)) {}
    const u64 flushes = machine.domain_flushes;
    ASSERT_TRUE(bring_frame_online(block + 5));
    EXPECT_EQ(alloc_frames(0)->v, (block + 5).v);
    EXPECT_EQ(machine.domain_flushes, flushes + 1);
}

TEST_F(PageOffline, OnlyRamCanGo) {
    for (const Mfn m : {Mfn(kFirst + kFrames), Mfn(kMaxFrames), kNoMfn}) {
        EXPECT_ERROR(take_frame_offline(m), inval);
        EXPECT_ERROR(bring_frame_online(m), inval);
        EXPECT_ERROR(frame_use(m), inval);
    }
    EXPECT_EQ(*take_frame_offline(Mfn(3)), FrameUse::goes_offline) << "never was in the heap";
    ASSERT_TRUE(bring_frame_online(Mfn(3)));
    EXPECT_EQ(heap_free_frames(), kFrames);
}

// Everything at random against a list of what each frame is.
TEST_F(PageOffline, RandomAgainstModel) {
    std::mt19937 rng(7);
    std::map<u64, unsigned> held;
    std::set<u64> used, bad;
    for (int step = 0; step < 8000; step++) {
        const Mfn m(kFirst + rng() % kFrames);
        switch (rng() % 6) {
            case 0:
            case 1: {
                const unsigned order = rng() % 5;
                const auto block = alloc_frames(order);
                if (!block) break;
                held[block->v] = order;
                for (u64 i = 0; i < u64{1} << order; i++) {
                    ASSERT_TRUE(used.insert(block->v + i).second);
                    ASSERT_FALSE(bad.contains(block->v + i));
                }
                break;
            }
            case 2:
            case 3: {
                if (held.empty()) break;
                const auto it = std::next(held.begin(), static_cast<long>(rng() % held.size()));
                for (u64 i = 0; i < u64{1} << it->second; i++) used.erase(it->first + i);
                free_guest_frames(Mfn(it->first), it->second);
                held.erase(it);
                break;
            }
            case 4:
                if (bad.size() > 100) break;
                bad.insert(m.v);
                ASSERT_EQ(*take_frame_offline(m),
                          used.contains(m.v) ? FrameUse::goes_offline : FrameUse::offline);
                break;
            default: bad.erase(m.v); ASSERT_TRUE(bring_frame_online(m));
        }
        u64 out = 0;
        for (const u64 b : bad) out += used.contains(b) ? 0 : 1;
        ASSERT_EQ(offline_frames(), out);
        ASSERT_EQ(heap_free_frames(), kFrames - used.size() - out) << step;
    }
    for (const auto& [m, order] : held) free_frames(Mfn(m), order);
    for (const u64 b : bad) ASSERT_TRUE(bring_frame_online(Mfn(b)));
    EXPECT_EQ(heap_free_frames(), kFrames);
    EXPECT_TRUE(alloc_frames(10)) << "all have merged again";
}

}  // namespace
}  // namespace domus
