// SPDX-License-Identifier: GPL-2.0-or-later
// The frame table: 32 bytes of state for each frame of machine memory: who owns it, how many references hold
// it, and, for a PV guest's page, as what it is being used (page type and count).
#pragma once

#include <atomic>

#include <port_inline/frame_table.hpp>  // Frame* frame_table_base()

#include "base/types.hpp"

namespace domus {

// Special owners, beside the ABI's domain ids below DOMID_FIRST_RESERVED (0x7ff0).
inline constexpr DomId kOwnerNone{0x7ff4};  // the ABI's DOMID_INVALID: free, or the hypervisor's own
inline constexpr DomId kOwnerIo{0x7ff1};    // DOMID_IO: device memory and reserved regions
inline constexpr DomId kOwnerXen{0x7ff2};   // DOMID_XEN: hypervisor pages shared with domains

struct Frame {
    std::atomic<u64> refs;  // allocation state and general reference count: mm/frame_refs.hpp
    std::atomic<u64> type;  // PV page type, its state and count: mm/page_type.hpp
    u32 next,
        prev;  // links of the list the frame is on (free list, or its owner's pages): mfn, or kNoFrameLink
    DomId owner;
    u8 order;  // of the free block that starts here
    u8 flags;
    u32 stamp;  // port::tlb_clock() when a mapping of the frame may last have gone stale
};
static_assert(sizeof(Frame) == 32);
inline constexpr u32 kNoFrameLink = ~u32{0};

// Valid only for frames of RAM that populate_metadata() has covered: check with frame_valid() when the number
// comes from outside.
inline Frame& frame_of(Mfn m) { return port::frame_table_base()[m.v]; }
inline Mfn mfn_of(const Frame& f) { return Mfn(static_cast<u64>(&f - port::frame_table_base())); }

// Is there a Frame for this number? True for RAM, false for holes, device memory and numbers beyond memory.
// Constant time.
bool frame_valid(Mfn m);

}  // namespace domus
