// SPDX-License-Identifier: GPL-2.0-or-later
// The memory map made consistent, and what is left of it for the heap.
#include "boot/memory.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace domus {
namespace {

using enum MemoryType;

std::vector<MemoryRegion> list(const MemoryMap& map) { return {map.regions().begin(), map.regions().end()}; }
std::vector<ByteRange> list(const FreeRanges& f) { return {f.ranges().begin(), f.ranges().end()}; }

TEST(MemoryMap, SortsMergesAndLetsTheStricterWin) {
    MemoryMap m;
    m.add(0x5000, 0x3000, 1);
    m.add(0x0, 0x2000, 1);
    m.add(0x6000, 0x1000, 2);
    m.add(0x2000, 0x1000, 1);
    m.add(0x6800, 0x2000, 4);
    m.add(0x9000, 0, 1);
    ASSERT_TRUE(m.sanitise());
    EXPECT_EQ(list(m), (std::vector<MemoryRegion>{{0x0, 0x3000, usable},
                                                  {0x5000, 0x6000, usable},
                                                  {0x6000, 0x6800, reserved},
                                                  {0x6800, 0x8800, nvs}}));
}

TEST(MemoryMap, OverflowAndUnknownTypes) {
    MemoryMap m;
    m.add(~u64{0} - 0xfff, 0x5000, 1);
    m.add(0x1000, 0x1000, 77);
    ASSERT_TRUE(m.sanitise());
    ASSERT_EQ(m.regions().size(), 2u);
    EXPECT_EQ(m.regions()[0].type, reserved);
    EXPECT_EQ(m.regions()[1].end, ~u64{0});
}

TEST(MemoryMap, AgainstABytewiseModel) {
    std::mt19937 random(7);
    const auto rank = [](MemoryType t) {
        return t == usable ? 1 : t == acpi ? 2 : t == reserved ? 3 : t == nvs ? 4 : 5;
    };
    for (int round = 0; round < 500; round++) {
        MemoryMap m;
        std::vector<int> model(64, 0);
        for (int i = 0; i < 12; i++) {
            const u64 start = random() % 60, size = random() % 20;
            const u32 type = 1 + random() % 5;
            m.add(start, size, type);
            for (u64 b = start; b < start + size && b < 64; b++)
                if (const int r = rank(static_cast<MemoryType>(type)); r > model[b]) model[b] = r;
        }
        ASSERT_TRUE(m.sanitise());
        std::vector<int> got(64, 0);
        u64 last = 0;
        for (const MemoryRegion& r : m.regions()) {
            EXPECT_GE(r.start, last);
            EXPECT_LT(r.start, r.end);
            last = r.end;
            for (u64 b = r.start; b < r.end && b < 64; b++) got[b] = rank(r.type);
        }
        EXPECT_EQ(got, model);
    }
}

TEST(MemoryMap, FullTable) {
    auto m = std::make_unique<MemoryMap>();
    for (u32 i = 0; i < MemoryMap::kCapacity; i++) EXPECT_TRUE(m->add(i * 0x2000, 0x1000, 1));
    EXPECT_FALSE(m->add(0x1000000, 0x1000, 1));
    ASSERT_TRUE(m->sanitise());
    EXPECT_EQ(m->regions().size(), MemoryMap::kCapacity);
    EXPECT_EQ(m->regions()[0], (MemoryRegion{0, 0x1000, usable}));
}

MemoryMap typical() {
    MemoryMap m;
    m.add(0, 0x9fc00, 1);
    m.add(0x9fc00, 0x400, 2);
    m.add(0xf0000, 0x10000, 2);
    m.add(0x100000, 0x7fee0000, 1);
    m.add(0x100000000, 0x40000800, 1);
    EXPECT_TRUE(m.sanitise());
    return m;
}

TEST(FreeRanges, InwardAndBelowTheLimit) {
    FreeRanges f;
    f.assign(typical(), 0x120000000);
    EXPECT_EQ(list(f),
              (std::vector<ByteRange>{{0, 0x9f000}, {0x100000, 0x7ffe0000}, {0x100000000, 0x120000000}}));
    const MachineSize size = machine_size(typical(), 0x120000000);
    EXPECT_EQ(size.end, 0x140000800u);
    EXPECT_EQ(size.beyond_map, 0x20000800u);
    EXPECT_EQ(size.usable, 0x9fc00u + 0x7fee0000 + 0x40000800);
}

TEST(FreeRanges, ReservationsOfEveryShape) {
    FreeRanges f;
    f.assign(typical(), ~u64{0});
    ASSERT_TRUE(f.reserve(0, kMiB));                   // a whole range
    ASSERT_TRUE(f.reserve(0x200001, 0x3fffff));        // the middle of one, outward to pages
    ASSERT_TRUE(f.reserve(0x7ffd0000, 0x100001000));   // the end of one and the start of the next
    ASSERT_TRUE(f.reserve(0x500000, 0x500000));        // nothing
    ASSERT_TRUE(f.reserve(0x200000000, 0x300000000));  // outside of all
    EXPECT_EQ(list(f), (std::vector<ByteRange>{
                           {0x100000, 0x200000}, {0x400000, 0x7ffd0000}, {0x100001000, 0x140000000}}));
    ASSERT_TRUE(f.reserve(0, ~u64{0}));
    EXPECT_EQ(f.total(), 0u);
    EXPECT_EQ(f.highest(), 0u);
}

TEST(FreeRanges, TakesFromTheTop) {
    FreeRanges f;
    f.assign(typical(), ~u64{0});
    EXPECT_EQ(f.take(0x1800, kPageSize, ~u64{0}).value(), Maddr(0x13fffe000));
    EXPECT_EQ(f.take(0x300000, kSuperpageSize, 4 * kGiB).value(), Maddr(0x7fc00000));
    EXPECT_EQ(f.take(kPageSize, kPageSize, kMiB).value(), Maddr(0x9e000));
    EXPECT_EQ(f.take(0x100000, kPageSize, kMiB).error(), Error::nomem);
    EXPECT_EQ(f.take(~u64{0}, kPageSize, ~u64{0}).error(), Error::nomem);
}

TEST(FreeRanges, AgainstAPagewiseModel) {
    std::mt19937 random(3);
    for (int round = 0; round < 300; round++) {
        MemoryMap m;
        std::vector<bool> model(64, false);
        for (int i = 0; i < 5; i++) {
            const u64 start = random() % 60, size = 1 + random() % 12;
            m.add(start * kPageSize, size * kPageSize, 1);
            for (u64 p = start; p < start + size && p < 64; p++) model[p] = true;
        }
        ASSERT_TRUE(m.sanitise());
        FreeRanges f;
        f.assign(m, 64 * kPageSize);
        for (int i = 0; i < 8; i++) {
            const u64 start = random() % 64, size = random() % 8;
            ASSERT_TRUE(f.reserve(start * kPageSize, (start + size) * kPageSize));
            for (u64 p = start; p < start + size && p < 64; p++) model[p] = false;
        }
        std::vector<bool> got(64, false);
        for (const ByteRange& r : f.ranges())
            for (u64 p = r.start / kPageSize; p < r.end / kPageSize; p++) got[p] = true;
        EXPECT_EQ(got, model);
    }
}

TEST(MemoryNeed, Sums) {
    MemoryMap map;
    map.add(0, 0x9f000, 1);
    map.add(kMiB, 127 * kMiB, 1);
    const MemoryNeed need = memory_need(map, 3 * kMiB, 8 * kMiB, 12 * kMiB, 60 * kMiB, 34 * kMiB);
    EXPECT_EQ(need.hypervisor, (1 + 3 + 10 + 4) * kMiB) << "one GiB's metadata for both regions";
    EXPECT_EQ(need.modules, 20 * kMiB);
    EXPECT_EQ(need.unpacking, 94 * kMiB);
    EXPECT_EQ(need.building, (60 + 60 + 24) * kMiB);
    EXPECT_EQ(need.total(), (18 + 20 + 144) * kMiB);
    EXPECT_EQ(memory_need(map, 0, 0, 0, 2 * kMiB, 34 * kMiB).total(), (15 + 2 + 34) * kMiB)
        << "a large decoder";
    const MemoryNeed plain = memory_need(map, 3 * kMiB, 64 * kMiB, 12 * kMiB, 0, 34 * kMiB);
    EXPECT_EQ(plain.unpacking, 0u);
    EXPECT_EQ(plain.total(), (18 + 64 + 12 + 64 + 24) * kMiB);
}

TEST(MemoryNeed, MetadataFollowsMemory) {
    MemoryMap map;
    map.add(kMiB, 3 * kGiB - kMiB, 1);
    map.add(4 * kGiB, 2 * kGiB, 1);
    map.add(100 * kGiB, kGiB, 2);  // reserved: none
    EXPECT_EQ(memory_need(map, 0, 0, 0, 0, 0).hypervisor, (1 + 4 + 5 * 10) * kMiB);
}

}  // namespace
}  // namespace domus
