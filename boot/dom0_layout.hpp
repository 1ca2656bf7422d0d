// SPDX-License-Identifier: GPL-2.0-or-later
// Where everything of a PV dom0 is at its start, in virtual and in pseudo-physical memory: the "start-of-day
// memory layout" of public xen.h. Pure arithmetic.
//
// Pseudo-physical memory: first the boot region, mapped 1:1 at the kernel's virtual base (kernel, initrd if
// it has to be mapped, list of frames if it has no place of its own, start_info, page tables, stack,
// padding); then the initrd if the kernel takes it by frame number; then, if the list of frames has a place
// of its own, its frames and the tables that map it; then the rest.
#pragma once

#include "base/types.hpp"
#include "boot/kernel_notes.hpp"
#include "boot/refusal.hpp"

namespace domus {

struct VirtualRange {
    u64 start = 0, end = 0;  // end exclusive
    constexpr u64 size() const { return end - start; }
    constexpr u64 pages() const { return size() >> kPageShift; }
    constexpr bool contains(u64 va) const { return va >= start && va < end; }
};

struct PfnRange {
    Gfn start{};
    u64 count = 0;
    constexpr Gfn end() const { return start + count; }
};

struct Dom0Layout {
    u64 pages = 0;  // of dom0 in all

    VirtualRange region;  // all that is mapped 1:1 to the first pseudo-physical frames
    VirtualRange kernel;
    VirtualRange initrd;      // empty if it is passed by frame number, or if there is none; rounded to pages
    VirtualRange frame_list;  // u64 for each page; in `region` or at the kernel's init_p2m; rounded to pages
    VirtualRange start_info;
    VirtualRange tables;  // the first is the level 4 table
    VirtualRange stack;
    u64 entry = 0;

    PfnRange initrd_frames;      // empty without an initrd; its frames in either case
    PfnRange frame_list_frames;  // likewise in either case
    PfnRange frame_list_tables;  // empty if the list is mapped in `region`
    bool initrd_by_frame = false;
    bool list_apart = false;  // the list has its own place

    Gfn pfn_of(u64 va) const { return Gfn((va - region.start) >> kPageShift); }  // within `region`
    u64 first_free_pfn() const;  // what lies behind has no purpose yet
};

// Tables of one level needed to map [start, end): level 1 to 3, each entry of the level above one table.
constexpr u64 tables_for(u64 start, u64 end, unsigned level) {
    if (start >= end) return 0;
    const unsigned shift = kPageShift + 9 * level;
    return ((end - 1) >> shift) - (start >> shift) + 1;
}

// `pages`: of dom0 in all. `image_start` and `image_end`: the kernel's range of paddr. Refused: the pieces do
// not fit into `pages` or into the address space.
Attempt<Dom0Layout> lay_out_dom0(const KernelNotes& notes, u64 image_start, u64 image_end, u64 pages,
                                 u64 initrd_bytes);

}  // namespace domus
