// SPDX-License-Identifier: GPL-2.0-or-later
// The memory map that a domain's builder gives it (XENMEM_set_memory_map), in the BIOS's format: for the
// guest to read; the hypervisor draws nothing from it.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"
#include "mm/box.hpp"
#include "port/lock.hpp"

namespace domus::core {

// As int 15h E820 returns it (public memory.h, XENMEM_memory_map).
struct [[gnu::packed]] E820Entry {
    u64 start, size;  // bytes
    u32 type;
};
static_assert(sizeof(E820Entry) == 20);

class MemoryMap {
  public:
    static constexpr u32 kMaxEntries = 1024;

    void set(Array<E820Entry> entries) {
        LockGuard guard(lock_);
        std::swap(entries_, entries);  // the old ones go when the lock is free again
        given_ = true;
    }
    // Entries [first, first + count) as far as there are; returns how many were copied. ENODATA: no map has
    // been given.
    Result<u32> read(u32 first, E820Entry* out, u32 count) {
        LockGuard guard(lock_);
        if (!given_) return fail(Error::nodata);
        u32 n = 0;
        for (; n < count && first + n < entries_.size(); n++) out[n] = entries_[first + n];
        return n;
    }

  private:
    SpinLock lock_{Rank::leaf};
    Array<E820Entry> entries_;
    bool given_ = false;
};

}  // namespace domus::core
