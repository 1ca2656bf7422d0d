// SPDX-License-Identifier: GPL-2.0-or-later
// Sizing the machine: which memory the heap may have, and whether it is enough.
#pragma once

#include <array>
#include <span>

#include "base/result.hpp"
#include "base/types.hpp"
#include "boot/memory_map.hpp"

namespace domus {

struct ByteRange {
    u64 start = 0, end = 0;  // end exclusive
    constexpr u64 size() const { return end - start; }
    constexpr bool operator==(const ByteRange&) const = default;
};

// Page-aligned ranges of usable memory that nobody has taken yet, ascending.
class FreeRanges {
  public:
    static constexpr u32 kCapacity = MemoryMap::kCapacity;

    // The usable regions of a sanitised map, rounded inward to pages, below `limit` (a machine address;
    // memory above is not reachable for the hypervisor).
    void assign(const MemoryMap& map, u64 limit);

    // Takes [start, end), rounded outward to pages, out of the ranges wherever it overlaps them. ENOSPC when
    // a range would have to be split and the table is full; nothing is changed then.
    Result<> reserve(u64 start, u64 end);

    // Takes `size` bytes (rounded up to pages) aligned to `align` (a power of two, at least a page) from the
    // top of the highest range that has them below `below`. ENOMEM.
    Result<Maddr> take(u64 size, u64 align, u64 below);

    std::span<const ByteRange> ranges() const { return {ranges_.data(), count_}; }
    u64 total() const;    // bytes
    u64 highest() const;  // the end of the highest range, 0 if there is none

  private:
    std::array<ByteRange, kCapacity> ranges_{};
    u32 count_ = 0;
};

// What the map says of the machine as a whole, from a sanitised map.
struct MachineSize {
    u64 usable = 0;      // bytes
    u64 end = 0;         // the highest usable byte's successor
    u64 beyond_map = 0;  // usable bytes at or above `limit`, which cannot be used
};
MachineSize machine_size(const MemoryMap& map, u64 limit);

// What the start takes, in bytes.
struct MemoryNeed {
    u64 hypervisor = 0;  // image, frame table, tables: what stays Domus's
    u64 modules = 0;     // as the boot loader has placed them
    u64 unpacking = 0;   // the unpacked kernel and the decoder's working memory
    u64 building = 0;    // the unpacked kernel's file, and dom0's first memory, into which it is copied
    constexpr u64 total() const {
        return hypervisor + modules + (unpacking > building ? unpacking : building);
    }
};

// `image` is the hypervisor's own size, `initrd` the second module's, `unpacked` the kernel's (0: it is not
// packed, and as large as its module).
MemoryNeed memory_need(const MemoryMap& map, u64 image, u64 kernel, u64 initrd, u64 unpacked, u64 scratch);

}  // namespace domus
