// SPDX-License-Identifier: GPL-2.0-or-later
// Building a PV dom0: the steps, in the order in which they need each other's results.
#include "boot/dom0_builder.hpp"

#include "abi/xen.hpp"
#include "arch_state/layout.hpp"
#include "arch_state/pte.hpp"
#include "base/assert.hpp"
#include "base/log.hpp"
#include "boot/dom0_start_info.hpp"
#include "mm/frame.hpp"
#include "port/memory.hpp"

namespace domus {
namespace {

constexpr const char* kNoMemory =
    "there is not enough memory for dom0. Lower dom0_mem=, or give the machine more memory.";
constexpr const char* kScattered =
    "the machine's memory is too scattered for dom0's kernel. Give the machine more memory.";

// Flags that the guest may have in its tables; large pages and globals are not for PV guests.
constexpr u64 kReadOnly = Pte::kPresent | Pte::kUser | Pte::kAccessed;
constexpr u64 kReadWrite = kReadOnly | Pte::kWritable | Pte::kDirty;

constinit Extents extents;  // of the boot region, the initrd, the list of frames and its tables

u8* page(Gfn pfn) { return port::frame_ptr<u8>(extents.mfn(pfn)); }

class Builder {
  public:
    Builder(const Dom0Request& request, Dom0Frames& frames)
        : q_(request), l_(*request.layout), frames_(frames) {}

    Attempt<Dom0Start> build() {
        extents = {};
        if (auto r = take_frames(); !r) return std::unexpected(r.error());
        for (u64 pfn = 0; pfn < l_.first_free_pfn(); pfn++) set_frame(Gfn(pfn), extents.mfn(Gfn(pfn)));
        load_kernel();
        if (!in_place_) copy_initrd();
        frames_.image_loaded();
        if (auto r = take_rest(); !r) return std::unexpected(r.error());
        write_start_info(q_, page(l_.pfn_of(l_.start_info.start)));
        map();
        return Dom0Start{.table = extents.mfn(l_.pfn_of(l_.tables.start)),
                         .entry = l_.entry,
                         .stack = l_.stack.end,
                         .start_info = l_.start_info.start,
                         .initrd_taken = in_place_};
    }

  private:
    Attempt<> take_range(PfnRange range, bool clear);
    Attempt<> take_frames();
    Attempt<> take_rest();
    void set_frame(Gfn pfn, Mfn m);
    void set_run(Gfn pfn, Mfn first, u64 count) {
        for (u64 i = 0; i < count; i++) set_frame(pfn + i, first + i);
    }
    void copy_to(u64 pfn_address, std::span<const std::byte> bytes);
    void load_kernel();
    void copy_initrd();
    void map();
    void map_page(u64 va, Pte leaf, Gfn& next_table);

    const Dom0Request& q_;
    const Dom0Layout& l_;
    Dom0Frames& frames_;
    bool in_place_ = false;
    u64* list_page_ = nullptr;  // the page of the list of frames that holds list_page_at_
    u64 list_page_at_ = ~u64{0};
};

// In blocks as large as they come, largest first: the result need not be contiguous.
Attempt<> Builder::take_range(PfnRange range, bool clear) {
    unsigned order = frames_.max_order();
    for (u64 done = 0; done < range.count;) {
        while (u64{1} << order > range.count - done) order--;
        const Result<Mfn> block = frames_.allocate(order);
        if (!block) {
            if (order == 0) return refusal(kNoMemory);
            order--;
            continue;
        }
        if (!extents.add(range.start + done, *block, u64{1} << order)) return refusal(kScattered);
        if (clear) __builtin_memset(port::frame_ptr(*block), 0, kPageSize << order);
        done += u64{1} << order;
    }
    return {};
}

Attempt<> Builder::take_frames() {
    if (auto r = take_range({Gfn(0), l_.region.pages()}, true); !r) return r;
    if (l_.initrd_by_frame) {
        in_place_ = q_.initrd_in_place && frames_.adopt(mfn(q_.initrd), l_.initrd_frames.count).has_value();
        if (!in_place_) {
            if (auto r = take_range(l_.initrd_frames, true); !r) return r;
        } else {
            if (!extents.add(l_.initrd_frames.start, mfn(q_.initrd), l_.initrd_frames.count))
                return refusal(kScattered);
            const u64 rest = l_.initrd_frames.count * kPageSize - q_.initrd_bytes;
            __builtin_memset(static_cast<u8*>(port::direct_map(q_.initrd)) + q_.initrd_bytes, 0, rest);
        }
    }
    if (l_.list_apart) {
        if (auto r = take_range(l_.frame_list_frames, true); !r) return r;
        if (auto r = take_range(l_.frame_list_tables, true); !r) return r;
    }
    return {};
}

void Builder::set_frame(Gfn pfn, Mfn m) {
    constexpr u64 kPerPage = kPageSize / sizeof(u64);
    const u64 at = pfn.v / kPerPage;
    if (list_page_ == nullptr || at != list_page_at_) {
        list_page_at_ = at;
        list_page_ = reinterpret_cast<u64*>(page(l_.frame_list_frames.start + at));
    }
    list_page_[pfn.v % kPerPage] = m.v;
    port::m2p_base()[m.v] = pfn.v;
}

// The rest of dom0's memory goes straight into the list.
Attempt<> Builder::take_rest() {
    unsigned order = frames_.max_order();
    for (u64 pfn = l_.first_free_pfn(); pfn < l_.pages;) {
        while (u64{1} << order > l_.pages - pfn) order--;
        const Result<Mfn> block = frames_.allocate(order);
        if (!block) {
            if (order == 0) return refusal(kNoMemory);
            order--;
            continue;
        }
        set_run(Gfn(pfn), *block, u64{1} << order);
        pfn += u64{1} << order;
    }
    return {};
}

// `pfn_address` is a byte address in pseudo-physical memory.
void Builder::copy_to(u64 pfn_address, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const u64 offset = pfn_address % kPageSize;
        const u64 n = bytes.size() < kPageSize - offset ? bytes.size() : kPageSize - offset;
        __builtin_memcpy(page(Gfn(pfn_address >> kPageShift)) + offset, bytes.data(), n);
        bytes = bytes.subspan(n);
        pfn_address += n;
    }
}

void Builder::load_kernel() {
    for (u32 i = 0; i < q_.image->program_headers(); i++)
        if (const auto s = q_.image->load_segment(i))
            copy_to(q_.notes->virtual_of(s->physical) - l_.region.start, s->bytes);
    if (q_.notes->hypercall_page) q_.fill_hypercall_page(page(l_.pfn_of(*q_.notes->hypercall_page)));
}

void Builder::copy_initrd() {
    if (q_.initrd_bytes == 0) return;
    const auto* from = static_cast<const std::byte*>(port::direct_map(q_.initrd));
    copy_to(l_.initrd_frames.start.v << kPageShift, {from, q_.initrd_bytes});
}

// Sets the entry for `va`, with the tables that are missing on the way, whose frames are taken from
// `next_table` on.
void Builder::map_page(u64 va, Pte leaf, Gfn& next_table) {
    Pte* table = reinterpret_cast<Pte*>(page(l_.pfn_of(l_.tables.start)));
    for (unsigned level = 4; level > 1; level--) {
        Pte& entry = table[table_index(Vaddr(va), level)];
        if (!entry.present()) {
            entry = Pte(extents.mfn(next_table), kReadWrite);
            ++next_table;
        }
        table = port::frame_ptr<Pte>(entry.mfn());
    }
    table[table_index(Vaddr(va), 1)] = leaf;
}

void Builder::map() {
    Gfn next = l_.pfn_of(l_.tables.start) + 1;
    for (u64 va = l_.region.start; va != l_.region.end; va += kPageSize)
        map_page(va, Pte(extents.mfn(l_.pfn_of(va)), l_.tables.contains(va) ? kReadOnly : kReadWrite), next);
    ASSERT(next <= l_.pfn_of(l_.tables.end));
    if (!l_.list_apart) return;
    next = l_.frame_list_tables.start;
    for (u64 i = 0; i < l_.frame_list_frames.count; i++)
        map_page(l_.frame_list.start + i * kPageSize,
                 Pte(extents.mfn(l_.frame_list_frames.start + i), kReadWrite), next);
    ASSERT(next == l_.frame_list_tables.end());
}

}  // namespace

bool Extents::add(Gfn pfn, Mfn first, u64 count) {
    if (count_ > 0 && runs_[count_ - 1].pfn + runs_[count_ - 1].count == pfn &&
        runs_[count_ - 1].first + runs_[count_ - 1].count == first) {
        runs_[count_ - 1].count += count;
        return true;
    }
    if (count_ == kCapacity) return false;
    runs_[count_++] = {pfn, first, count};
    return true;
}

Mfn Extents::mfn(Gfn pfn) const {
    for (u32 i = 0; i < count_; i++)
        if (pfn >= runs_[i].pfn && pfn - runs_[i].pfn < runs_[i].count)
            return runs_[i].first + (pfn - runs_[i].pfn);
    return kNoMfn;
}

Attempt<Dom0Start> build_dom0(const Dom0Request& request, Dom0Frames& frames) {
    return Builder(request, frames).build();
}

void log_dom0_layout(const Dom0Layout& l) {
    const auto line = [](const char* what, VirtualRange r) {
        if (r.size() != 0) log(Level::info, "dom0: {:<14} {:016x} - {:016x}", what, r.start, r.end);
    };
    line("boot region", l.region);
    line("kernel", l.kernel);
    line("initrd", l.initrd);
    line("frame list", l.frame_list);
    line("start info", l.start_info);
    line("page tables", l.tables);
    line("stack", l.stack);
    if (l.initrd_by_frame)
        log(Level::info, "dom0: {:<14} frames {:#x} - {:#x}", "initrd", l.initrd_frames.start.v,
            l.initrd_frames.end().v);
    log(Level::info, "dom0: {:<14} {:016x}", "entry", l.entry);
}

}  // namespace domus
