// SPDX-License-Identifier: GPL-2.0-or-later
// The frame table: 32 bytes of state for each frame of machine memory: who owns it, how many references hold
// it, and, for a PV guest's page, as what it is being used (page type and count).
#pragma once

#include <array>
#include <atomic>

#include <port_inline/frame_table.hpp>  // Frame* frame_table_base()

#include "base/types.hpp"

namespace domus {

// Special owners, beside the ABI's domain ids below DOMID_FIRST_RESERVED (0x7ff0).
inline constexpr DomId kOwnerNone{0x7ff4};  // the ABI's DOMID_INVALID: free, or the hypervisor's own
inline constexpr DomId kOwnerIo{0x7ff1};    // DOMID_IO: device memory and reserved regions
inline constexpr DomId kOwnerXen{0x7ff2};   // DOMID_XEN: hypervisor pages shared with domains

// All zero is a frame that nobody uses and that is not in the heap: fresh metadata needs no initialisation.
struct Frame {
    std::atomic<u64> refs;  // allocation state and general reference count: mm/frame_refs.hpp
    std::atomic<u64> type;  // PV page type, its state and count: mm/page_type.hpp
    u32 next, prev;         // links of the list the frame is on (free list, or its owner's pages), as mfns
    DomId owner;            // means something only while refs counts at least one
    u8 order;               // of the free block that starts here
    u8 flags;               // kFrame*
    u32 stamp;              // port::tlb_clock() when a mapping of the frame may last have gone stale
};
static_assert(sizeof(Frame) == 32);
inline constexpr u32 kNoFrameLink = ~u32{0};

// Valid only for frames of RAM that populate_metadata() has covered: check with frame_valid() when the number
// comes from outside.
inline Frame& frame_of(Mfn m) { return port::frame_table_base()[m.v]; }
inline Mfn mfn_of(const Frame& f) { return Mfn(static_cast<u64>(&f - port::frame_table_base())); }

// Frame::flags, and those of mm/page_offline.hpp. The heap lock guards them, but for kFrameHole: boot's
// alone.
inline constexpr u8 kFrameHole = 1u << 0;      // not RAM, though its metadata exists
inline constexpr u8 kFrameFreeHead = 1u << 1;  // first frame of a free block of the heap
inline constexpr u8 kFrameStale = 1u << 2;     // (free block) TLBs may hold translations older than `stamp`

// Metadata exists in units of one GiB ("chunks"), for up to 5 TiB: what the direct map can hold.
inline constexpr u64 kChunkFrames = kGiB / kPageSize;
inline constexpr u64 kMaxChunks = 5 * kKiB;
inline constexpr u64 kMaxFrames = kMaxChunks * kChunkFrames;

// Declares frames [first, first+count) to be RAM. Their metadata exists (port::populate_metadata). At boot,
// or under the lock of memory hot-add. The remaining frames of a chunk stay holes until they are declared
// too.
void ram_add(Mfn first, u64 count);

// The highest frame that is RAM.
Mfn last_ram();

namespace detail {
extern constinit std::array<u64, kMaxChunks / 64> ram_chunks;  // bit set: the chunk has RAM, thus metadata
extern constinit u64 ram_end;                                  // the frame after the last that is RAM
}  // namespace detail

// Is there a Frame for this number? True for RAM, false for holes, device memory and numbers beyond memory.
// Constant time.
inline bool frame_valid(Mfn m) {
    if (m.v >= kMaxFrames) return false;
    const u64 chunk = m.v / kChunkFrames;
    if (((detail::ram_chunks[chunk / 64] >> (chunk % 64)) & 1) == 0) return false;
    return (frame_of(m).flags & kFrameHole) == 0;
}

}  // namespace domus
