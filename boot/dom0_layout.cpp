// SPDX-License-Identifier: GPL-2.0-or-later
// Laying out a PV dom0's start, one area behind the other, in the ABI's order.
#include "boot/dom0_layout.hpp"

#include "arch_state/layout.hpp"
#include "base/log.hpp"

namespace domus {
namespace {

constexpr u64 kRegionAlignment = 4 * kMiB, kLeastPadding = 512 * kKiB;  // public xen.h

constexpr const char* kNoRoom =
    "dom0's kernel, initial ramdisk and list of frames do not fit into the kernel's address space. Give dom0 "
    "less memory "
    "(dom0_mem=), a smaller initial ramdisk, or a newer kernel.";

// The end of the region if `end` is the end of its last piece.
constexpr u64 padded(u64 end) {
    const u64 aligned = round_up(end, kRegionAlignment);
    return aligned - end < kLeastPadding ? aligned + kRegionAlignment : aligned;
}

constexpr bool overlap(u64 a_start, u64 a_end, u64 b_start, u64 b_end) {
    return a_start < b_end && b_start < a_end;
}
constexpr u64 slot(u64 va) { return (va >> 39) & 511; }

}  // namespace

u64 Dom0Layout::first_free_pfn() const {
    u64 last = region.pages();
    if (initrd_by_frame) last = initrd_frames.end().v;
    if (list_apart) last = frame_list_tables.end().v;
    return last;
}

Attempt<Dom0Layout> lay_out_dom0(const KernelNotes& notes, u64 image_start, u64 image_end, u64 pages,
                                 u64 initrd_bytes) {
    Dom0Layout l;
    const u64 initrd_size = round_up(initrd_bytes, kPageSize),
              list_size = round_up(pages * sizeof(u64), kPageSize);
    l.pages = pages;
    l.entry = notes.entry;
    l.kernel = {notes.virtual_of(image_start), notes.virtual_of(image_end)};
    l.initrd_by_frame = notes.mod_start_pfn && initrd_bytes != 0;
    l.list_apart = notes.init_p2m.has_value();

    u64 at = l.kernel.end;
    u64 used = 0;  // an upper bound of `at`'s progress, against wrap-around
    const auto place = [&](u64 size) {
        const VirtualRange r{at, at + size};
        at += size;
        used += size;
        return r;
    };
    if (initrd_size > kTiB || list_size > kTiB) return refusal(kNoRoom);
    if (!l.initrd_by_frame) l.initrd = place(initrd_size);
    if (!l.list_apart) l.frame_list = place(list_size);
    l.start_info = place(kPageSize);
    const u64 room =
        (l.kernel.end >= layout::kHypervisorEnd ? ~u64{0} - kRegionAlignment + 1 : u64{1} << 47) -
        l.kernel.end;
    if (used >= room) return refusal(kNoRoom);

    // The tables map themselves: take as many as the region needs with that many.
    l.region.start = notes.virt_base;
    const u64 tables_at = at;
    for (u64 count = 4;; count++) {
        if (used + (count + 1) * kPageSize + 2 * kRegionAlignment >= room) return refusal(kNoRoom);
        l.tables = {tables_at, tables_at + count * kPageSize};
        l.stack = {l.tables.end, l.tables.end + kPageSize};
        l.region.end = padded(l.stack.end);
        const u64 need = 1 + tables_for(l.region.start, l.region.end, 1) +
                         tables_for(l.region.start, l.region.end, 2) +
                         tables_for(l.region.start, l.region.end, 3);
        if (need <= count) break;
    }

    Gfn next{l.region.pages()};
    const auto frames = [&](u64 count) {
        const PfnRange r{next, count};
        next += count;
        return r;
    };
    l.initrd_frames = l.initrd_by_frame ? frames(initrd_size >> kPageShift)
                                        : PfnRange{l.pfn_of(l.initrd.start), l.initrd.pages()};
    if (l.list_apart) {
        const u64 start = *notes.init_p2m, end = start + list_size;
        l.frame_list = {start, end};
        const bool low = start < u64{1} << 47;
        if (end < start || (low && end > u64{1} << 47) ||
            overlap(start, end, layout::kHypervisorStart, layout::kHypervisorEnd) ||
            (slot(start) <= slot(l.region.end - 1) && slot(end - 1) >= slot(l.region.start))) {
            log(Level::error, "dom0: the list of frames, {:#x} to {:#x}, collides", start, end);
            return refusal(kNoRoom);
        }
        l.frame_list_frames = frames(l.frame_list.pages());
        l.frame_list_tables =
            frames(tables_for(start, end, 1) + tables_for(start, end, 2) + tables_for(start, end, 3));
    } else {
        l.frame_list_frames = {l.pfn_of(l.frame_list.start), l.frame_list.pages()};
    }
    if (next.v > pages) {
        log(Level::error, "dom0: its kernel and initial ramdisk need {} MiB, it has {} MiB",
            next.v * kPageSize / kMiB + 1, pages * kPageSize / kMiB);
        return refusal(
            "dom0 has too little memory for its kernel and initial ramdisk (see the line before). Raise "
            "dom0_mem=, or give "
            "the machine more memory.");
    }
    return l;
}

}  // namespace domus
