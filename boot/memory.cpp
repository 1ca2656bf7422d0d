// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's free ranges at boot, and how much memory dom0 and the hypervisor need of them.
#include "boot/memory.hpp"

namespace domus {
namespace {

constexpr u64 least(u64 a, u64 b) { return a < b ? a : b; }
constexpr u64 most(u64 a, u64 b) { return a > b ? a : b; }
constexpr u64 page_up(u64 v) {
    return v > ~u64{0} - kPageSize + 1 ? ~u64{0} & kPageMask : round_up(v, kPageSize);
}

}  // namespace

void FreeRanges::assign(const MemoryMap& map, u64 limit) {
    count_ = 0;
    for (const MemoryRegion& r : map.regions()) {
        if (r.type != MemoryType::usable) continue;
        const ByteRange inward{page_up(r.start), least(r.end, limit) & kPageMask};
        if (inward.start < inward.end) ranges_[count_++] = inward;
    }
}

Result<> FreeRanges::reserve(u64 start, u64 end) {
    start &= kPageMask;
    end = page_up(end);
    if (start >= end) return {};
    u32 splits = 0;
    for (const ByteRange& r : ranges()) splits += r.start < start && end < r.end;
    if (count_ + splits > kCapacity) return fail(Error::nospc);
    u32 kept = 0;
    for (u32 i = 0; i < count_; i++) {
        const ByteRange r = ranges_[i];
        if (r.end <= start || end <= r.start) {
            ranges_[kept++] = r;
            continue;
        }
        if (r.start < start && end < r.end) {  // the only range concerned, since they do not overlap
            for (u32 j = count_; j > i + 1; j--) ranges_[j] = ranges_[j - 1];
            ranges_[i] = {r.start, start};
            ranges_[i + 1] = {end, r.end};
            count_++;
            return {};
        }
        if (r.start < start) ranges_[kept++] = {r.start, start};
        if (end < r.end) ranges_[kept++] = {end, r.end};
    }
    count_ = kept;
    return {};
}

Result<Maddr> FreeRanges::take(u64 size, u64 align, u64 below) {
    size = page_up(size);
    for (u32 i = count_; i-- > 0;) {
        const u64 end = least(ranges_[i].end, below & kPageMask);
        if (end < size) continue;
        const u64 start = round_down(end - size, align);
        if (start < ranges_[i].start) continue;
        TRY(reserve(start, start + size));
        return Maddr(start);
    }
    return fail(Error::nomem);
}

u64 FreeRanges::total() const {
    u64 sum = 0;
    for (const ByteRange& r : ranges()) sum += r.size();
    return sum;
}

u64 FreeRanges::highest() const { return count_ == 0 ? 0 : ranges_[count_ - 1].end; }

MemoryNeed memory_need(const MemoryMap& map, u64 image, u64 kernel, u64 initrd, u64 unpacked, u64 scratch) {
    // Metadata comes by the GiB (port/memory.hpp, populate_metadata); the rest is page tables, CPU areas and
    // the heap's first objects.
    constexpr u64 kMetadataOfGib = 10 * kMiB, kTables = 4 * kMiB, kLow = kMiB;
    u64 gibs = 0, counted_to = 0;
    for (const MemoryRegion& r : map.regions()) {
        if (r.type != MemoryType::usable) continue;
        const u64 first = most(r.start / kGiB, counted_to), end = (r.end - 1) / kGiB + 1;
        if (end > first) gibs += end - first;
        counted_to = most(counted_to, end);
    }
    MemoryNeed need;
    need.hypervisor = kLow + image + gibs * kMetadataOfGib + kTables;
    need.modules = page_up(kernel) + page_up(initrd);
    need.unpacking = unpacked == 0 ? 0 : page_up(unpacked) + scratch;
    // Linux is linked at 16 MiB, and a region's end is padded to the next 4 MiB and 512 KiB more (public
    // xen.h).
    constexpr u64 kRegionMore = 24 * kMiB;
    need.building = page_up(unpacked) + page_up(unpacked == 0 ? kernel : unpacked) + kRegionMore;
    return need;
}

MachineSize machine_size(const MemoryMap& map, u64 limit) {
    MachineSize size;
    for (const MemoryRegion& r : map.regions()) {
        if (r.type != MemoryType::usable) continue;
        size.usable += r.end - r.start;
        size.end = most(size.end, r.end);
        if (r.end > limit) size.beyond_map += r.end - most(r.start, limit);
    }
    return size;
}

}  // namespace domus
