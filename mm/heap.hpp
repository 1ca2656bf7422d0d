// SPDX-License-Identifier: GPL-2.0-or-later
// The heap of machine frames: a buddy allocator whose bookkeeping lives in the frame table.
//
// Blocks are 2^order frames, naturally aligned. Free blocks are kept by zone, the power of two that their
// address lies in, so that a limit on address bits is a limit on zones, and memory a device with narrow
// addresses can reach is handed out last.
#pragma once

#include "base/result.hpp"
#include "mm/frame.hpp"

namespace domus {

inline constexpr unsigned kMaxOrder = 18;  // 1 GiB

struct AllocLimits {
    unsigned address_bits = 64;  // every byte of the block lies below 2^address_bits
    bool scrub = false;          // zeroed; wanted for memory that another domain may have used
};

// Gives frames to the heap. They are RAM (ram_add) and nobody uses them. At boot or memory hot-add.
void heap_add(Mfn first, u64 count);

// 2^order contiguous frames, 0 <= order <= kMaxOrder. No TLB holds a guest's translation of them. ENOMEM.
Result<Mfn> alloc_frames(unsigned order, AllocLimits limits = {});

// Gives back what alloc_frames returned, or a naturally aligned part of it. Page type and references are
// zero.
void free_frames(Mfn first, unsigned order);
// As free_frames, for memory that a guest could map: its TLB entries are flushed before the frames are used
// again.
void free_guest_frames(Mfn first, unsigned order);

u64 heap_free_frames();
// Free frames whose addresses need min_bits to max_bits bits. Those that need 21 or less count as one.
u64 heap_free_frames(unsigned min_bits, unsigned max_bits);

// For tests: forgets all memory; and lets the allocation after the next `n` fail (once).
void heap_reset();
void heap_fail_after(u64 n);

}  // namespace domus
