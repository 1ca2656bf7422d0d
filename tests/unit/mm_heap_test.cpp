// SPDX-License-Identifier: GPL-2.0-or-later
// The frame heap and the small-object allocator against simple models.
#include "mm/heap.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "fakes/machine.hpp"
#include "mm/box.hpp"
#include "mm/objects.hpp"
#include "port/memory.hpp"

namespace domus {
namespace {

class FrameHeap : public testing::Test {
  protected:
    void SetUp() override { reset(); }
    void TearDown() override { reset(); }
    static void reset() {
        objects_reset();
        heap_reset();
    }
};

TEST_F(FrameHeap, FrameValidFollowsRamRanges) {
    fakes::Machine m(3 * kGiB);
    ram_add(Mfn(0), 0x9f);
    ram_add(Mfn(0x100), 0x1000);
    ram_add(Mfn(kChunkFrames * 2), kChunkFrames);
    EXPECT_TRUE(frame_valid(Mfn(0)));
    EXPECT_TRUE(frame_valid(Mfn(0x9e)));
    EXPECT_FALSE(frame_valid(Mfn(0x9f)));
    EXPECT_FALSE(frame_valid(Mfn(0xff)));
    EXPECT_TRUE(frame_valid(Mfn(0x10ff)));
    EXPECT_FALSE(frame_valid(Mfn(0x1100)));
    EXPECT_FALSE(frame_valid(Mfn(kChunkFrames)));
    EXPECT_TRUE(frame_valid(Mfn(kChunkFrames * 2)));
    EXPECT_TRUE(frame_valid(Mfn(kChunkFrames * 3 - 1)));
    EXPECT_FALSE(frame_valid(Mfn(kChunkFrames * 3)));
    EXPECT_FALSE(frame_valid(Mfn(kMaxFrames)));
    EXPECT_FALSE(frame_valid(kNoMfn));
}

TEST_F(FrameHeap, HandsOutHighMemoryFirstAndHonoursLimits) {
    fakes::Machine m(6 * kGiB);
    const u64 four_gib = 4 * kGiB / kPageSize;
    ram_add(Mfn(0), 6 * kChunkFrames);
    heap_add(Mfn(256), four_gib - 256);
    heap_add(Mfn(four_gib), 1024);
    EXPECT_GE(alloc_frames(0)->v, four_gib);
    EXPECT_LT(alloc_frames(0, {.address_bits = 32})->v, four_gib);
    EXPECT_LT(alloc_frames(3, {.address_bits = 24})->v + 8, (16 * kMiB / kPageSize) + 1);
    EXPECT_FALSE(alloc_frames(0, {.address_bits = 20}));
    EXPECT_FALSE(alloc_frames(0, {.address_bits = 12}));
    EXPECT_TRUE(alloc_frames(0, {.address_bits = 21}));  // 1 MiB to 2 MiB
    EXPECT_FALSE(alloc_frames(kMaxOrder + 1));
}

// Random allocations and frees: no frame is given out twice, everything merges back, and limits hold.
TEST_F(FrameHeap, RandomAgainstModel) {
    fakes::Machine m(64 * kMiB);
    ram_add(Mfn(0), 64 * kMiB / kPageSize);
    heap_add(Mfn(3), 5000);
    heap_add(Mfn(6001), 7000);
    const u64 all = heap_free_frames();
    EXPECT_EQ(all, 12000u);
    std::mt19937 rng(1);
    std::map<u64, unsigned> held;
    std::set<u64> used;
    for (int step = 0; step < 20000; step++) {
        if (rng() % 2 == 0) {
            const unsigned order = rng() % 3 == 0 ? rng() % 10 : 0;
            const unsigned bits = rng() % 4 == 0 ? 21 + rng() % 6 : 64;
            auto r = alloc_frames(order, {.address_bits = bits});
            if (!r) continue;
            EXPECT_EQ(r->v % (u64{1} << order), 0u);
            for (u64 i = 0; i < (u64{1} << order); i++) {
                const u64 f = r->v + i;
                ASSERT_TRUE(used.insert(f).second);
                ASSERT_TRUE((f >= 3 && f < 5003) || (f >= 6001 && f < 13001));
                if (bits < 64) {
                    ASSERT_LE((f + 1) << kPageShift, u64{1} << bits);
                }
            }
            held[r->v] = order;
        } else if (!held.empty()) {
            auto it = held.begin();
            std::advance(it, rng() % held.size());
            for (u64 i = 0; i < (u64{1} << it->second); i++) used.erase(it->first + i);
            if (rng() % 2 == 0)
                free_frames(Mfn(it->first), it->second);
            else
                free_guest_frames(Mfn(it->first), it->second);
            held.erase(it);
        }
        ASSERT_EQ(heap_free_frames() + used.size(), all);
    }
    for (auto [f, o] : held) free_frames(Mfn(f), o);
    EXPECT_EQ(heap_free_frames(), all);
    // All merged: the largest block that fits is there again.
    EXPECT_TRUE(alloc_frames(11));
}

TEST_F(FrameHeap, FlushesBeforeReuseOfGuestMemoryOnly) {
    fakes::Machine m;
    ram_add(Mfn(0), 1024);
    heap_add(Mfn(512), 4);
    Mfn a = *alloc_frames(2);
    free_frames(a, 2);
    a = *alloc_frames(2);
    EXPECT_EQ(m.domain_flushes, 0u);
    free_frames(a, 0);
    free_guest_frames(a + 1, 0);
    free_frames(a + 2, 1);
    EXPECT_TRUE(alloc_frames(1));  // the split halves remember
    EXPECT_EQ(m.domain_flushes, 1u);
    EXPECT_TRUE(alloc_frames(1));
    EXPECT_EQ(m.domain_flushes, 1u);  // flushed since
}

TEST_F(FrameHeap, ScrubsOnDemand) {
    fakes::Machine m;
    ram_add(Mfn(0), 1024);
    heap_add(Mfn(512), 2);
    std::memset(port::frame_ptr(Mfn(512)), 0xcc, 2 * kPageSize);
    const Mfn a = *alloc_frames(1, {.scrub = true});
    for (u64 i = 0; i < 2 * kPageSize; i++) ASSERT_EQ(port::frame_ptr(a)[i], 0);
}

TEST_F(FrameHeap, ObjectsRandomAgainstModel) {
    fakes::Machine m;
    ram_add(Mfn(0), 16384);
    heap_add(Mfn(512), 8192);
    const u64 all = heap_free_frames();
    struct Held {
        usize size, align;
        u8 fill;
    };
    std::map<u8*, Held> held;
    std::mt19937 rng(2);
    u64 bytes = 0;
    for (int step = 0; step < 20000; step++) {
        if (rng() % 5 < 3) {
            const usize size = 1 + rng() % (rng() % 10 == 0 ? 20000 : 600);
            const usize align = rng() % 4 == 0 ? usize{1} << (rng() % 13) : 16;
            auto r = allocate(size, align);
            if (!r) continue;
            auto* p = static_cast<u8*>(*r);
            ASSERT_EQ(reinterpret_cast<u64>(p) % align, 0u);
            auto next = held.lower_bound(p);
            if (next != held.end()) {
                ASSERT_LE(p + size, next->first);
            }
            if (next != held.begin()) {
                --next;
                ASSERT_LE(next->first + next->second.size, p);
            }
            const u8 fill = static_cast<u8>(rng());
            std::memset(p, fill, size);
            held[p] = {size, align, fill};
            bytes += size;
        } else if (!held.empty()) {
            auto it = held.begin();
            std::advance(it, rng() % held.size());
            for (usize i = 0; i < it->second.size; i++) ASSERT_EQ(it->first[i], it->second.fill);
            deallocate(it->first, it->second.size, it->second.align);
            bytes -= it->second.size;
            held.erase(it);
        }
        ASSERT_EQ(objects_bytes_in_use(), bytes);
    }
    for (auto& [p, h] : held) deallocate(p, h.size, h.align);
    EXPECT_EQ(objects_bytes_in_use(), 0u);
    EXPECT_EQ(heap_free_frames(), all);
}

struct Counted {
    static inline int alive = 0;
    Counted() { alive++; }
    ~Counted() { alive--; }
    u64 value[40] = {};
};

TEST_F(FrameHeap, BoxAndArrayOwn) {
    fakes::Machine m;
    ram_add(Mfn(0), 16384);
    heap_add(Mfn(512), 64);
    {
        auto box = make<Counted>();
        ASSERT_TRUE(box);
        Box<Counted> other = std::move(*box);
        EXPECT_EQ(Counted::alive, 1);
        auto array = make_array<Counted>(33);
        ASSERT_TRUE(array);
        EXPECT_EQ(Counted::alive, 34);
        EXPECT_EQ((*array)[32].value[39], 0u);
        EXPECT_EQ(make_array<Counted>(usize{1} << 60).error(), Error::nomem);
        heap_fail_after(0);
        EXPECT_EQ(make_array<Counted>(33).error(), Error::nomem);
        EXPECT_EQ(Counted::alive, 34);
    }
    EXPECT_EQ(Counted::alive, 0);
    EXPECT_EQ(objects_bytes_in_use(), 0u);
}

TEST_F(FrameHeap, UseAfterFreeIsNoticed) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "AddressSanitizer notices first";
#endif
    fakes::Machine m;
    ram_add(Mfn(0), 16384);
    heap_add(Mfn(512), 64);
    auto* keep = *allocate(64);
    auto* p = static_cast<u8*>(*allocate(64));
    deallocate(p, 64);
    p[10] = 1;
    EXPECT_DEATH((void)allocate(64), "use after free");
    p[10] = 0x5e;
    deallocate(keep, 64);
}

}  // namespace
}  // namespace domus
