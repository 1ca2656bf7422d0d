// SPDX-License-Identifier: GPL-2.0-or-later
// Building and changing the hypervisor's page tables.
#include "arch/paging.hpp"

#include <algorithm>

#include "arch/insn.hpp"
#include "arch_state/layout.hpp"
#include "base/assert.hpp"
#include "base/log.hpp"
#include "mm/page_type.hpp"
#include "port/lock.hpp"
#include "port/memory.hpp"

extern "C" {
extern const char image_start[], image_text_end[], image_rodata_end[], image_end[];
extern const char boot_l4[];
}

namespace domus::x86 {

namespace {

constexpr u64 kImagePhysical = 0x200000;  // domus.lds
constinit PageSource page_source;
constinit SpinLock paging_lock{Rank::objects};  // new tables come from the heap, not from the objects
constinit Mfn idle_l4 = kNoMfn;
constinit u64 device_cursor = layout::kDevices;

Pte* table_at(Mfn m) { return port::frame_ptr<Pte>(m); }

Result<Mfn> new_table() {
    const Mfn m = page_source.table();
    if (m == kNoMfn) return fail(Error::nomem);
    return m;
}

// The table that `entry` points at, made if absent. The entry of a slot's L3 in user-readable space carries
// U.
Result<Pte*> descend(Pte& entry, bool user) {
    if (!entry.present()) {
        const Mfn m = TRY(new_table());
        entry = Pte(m, Pte::kPresent | Pte::kWritable | Pte::kAccessed | (user ? Pte::kUser : 0));
    }
    ASSERT(!entry.large());
    return table_at(entry.mfn());
}

bool has_1g_pages() { return (cpuid(0x80000001).edx & (1u << 26)) != 0; }

// The entry for `va` at `level` (1: a page, 2: 2 MiB, 3: 1 GiB).
Result<Pte*> entry_for(u64 va, unsigned level, bool user) {
    const unsigned slot = table_index(Vaddr(va), 4);
    ASSERT(slot >= layout::kFirstSlot && slot < layout::kEndSlot);
    Pte* table = table_at(hypervisor_slots[slot - layout::kFirstSlot].mfn());
    for (unsigned l = 3; l > level; l--) table = TRY(descend(table[table_index(Vaddr(va), l)], user));
    return &table[table_index(Vaddr(va), level)];
}

// A fresh block of metadata: frames without a Frame (all zero: unowned, no type) or without a guest frame
// (all ones).
Result<Mfn> new_block(int fill) {
    const Mfn m = page_source.block();
    if (m == kNoMfn) return fail(Error::nomem);
    __builtin_memset(port::frame_ptr<u8>(m), fill, kSuperpageSize);
    return m;
}

// Backs the 2 MiB at va, unless they are; returns the entry.
Result<Pte*> back_block(u64 va, int fill) {
    Pte* entry = TRY(entry_for(va, 2, false));
    if (!entry->present()) {
        const Mfn block = TRY(new_block(fill));
        *entry = Pte(block, kHvFlags | Pte::kLarge);
    }
    return entry;
}

}  // namespace

void set_page_source(PageSource source) { page_source = source; }

void load_idle_root() { write_cr3(maddr(idle_l4).v); }

Maddr idle_root() { return maddr(idle_l4); }

Result<> map_page(u64 va, Mfn frame, u64 flags) {
    LockGuard guard(paging_lock);
    Pte* entry = TRY(entry_for(va, 1, false));
    *entry = frame == kNoMfn ? Pte() : Pte(frame, flags);
    return {};
}

Pte* find_pte(u64 va) {
    Pte* table = table_at(hypervisor_slots[table_index(Vaddr(va), 4) - layout::kFirstSlot].mfn());
    for (unsigned l = 3; l > 1; l--) {
        const Pte entry = table[table_index(Vaddr(va), l)];
        if (!entry.present() || entry.large()) return nullptr;
        table = table_at(entry.mfn());
    }
    return &table[table_index(Vaddr(va), 1)];
}

Result<> map_direct(Maddr ma, u64 size) {
    const u64 start = round_down(ma.v, kSuperpageSize), end = round_up(ma.v + size, kSuperpageSize);
    if (end > layout::kDirectMapEnd - layout::kDirectMap) return fail(Error::range);
    // Ranges may overlap in their rounded ends: leave what is mapped.
    for (u64 at = start; at < end;) {
        LockGuard guard(paging_lock);
        const u64 va = layout::kDirectMap + at;
        Pte* l3 = TRY(entry_for(va, 3, false));
        if (l3->present() && l3->large()) {
            at = round_down(at, kGiB) + kGiB;
        } else if (!l3->present() && (at & (kGiB - 1)) == 0 && end - at >= kGiB && has_1g_pages()) {
            *l3 = Pte(mfn(Maddr(at)), kHvFlags | Pte::kLarge);
            at += kGiB;
        } else {
            Pte* l2 = TRY(entry_for(va, 2, false));
            if (!l2->present()) *l2 = Pte(mfn(Maddr(at)), kHvFlags | Pte::kLarge);
            at += kSuperpageSize;
        }
    }
    return {};
}

void build_page_tables() {
    const auto must = [](auto&& r) {
        if (!r) panic("out of memory while building the hypervisor's page tables ({})", r.error());
    };
    const Result<Mfn> l4 = new_table();
    must(l4);
    idle_l4 = *l4;
    for (u64 slot = layout::kFirstSlot; slot < layout::kEndSlot; slot++) {
        const Result<Mfn> l3 = new_table();
        must(l3);
        const u64 user = slot == table_index(Vaddr(layout::kGuestM2p), 4) ? Pte::kUser : 0;
        hypervisor_slots[slot - layout::kFirstSlot] =
            Pte(*l3, Pte::kPresent | Pte::kWritable | Pte::kAccessed | Pte::kDirty | user);
        table_at(idle_l4)[slot] = hypervisor_slots[slot - layout::kFirstSlot];
    }
    const auto section = [&](const char* from, const char* to, u64 flags) {
        const u64 va = reinterpret_cast<u64>(from), size = static_cast<u64>(to - from);
        for (u64 at = 0; at < size; at += kPageSize)
            must(map_page(va + at, mfn(Maddr(va + at - layout::kImage + kImagePhysical)), flags));
    };
    section(image_start, image_text_end, kHvExecute);
    section(image_text_end, image_rodata_end, kHvReadOnly);
    section(image_rodata_end, image_end, kHvFlags);
}

}  // namespace domus::x86

namespace domus::port {

Result<void*> map_device(Maddr base, u64 size) {
    using namespace x86;
    const u64 start = round_down(base.v, kPageSize), end = round_up(base.v + size, kPageSize);
    static constinit SpinLock cursor_lock{Rank::page_list};  // between those of interrupts and paging_lock
    LockGuard guard(cursor_lock);
    // Nothing is given back: all is mapped for good, by drivers at boot and for few tables of MSI-X later.
    if (end <= start || end - start > layout::kDevices + layout::kSlotSize - device_cursor) {
        log(Level::error, "no room to map {} KiB of device memory at {:#x}: {} of {} MiB are taken",
            size / kKiB, base, (device_cursor - layout::kDevices) / kMiB, layout::kSlotSize / kMiB);
        return fail(Error::nospc);
    }
    const u64 va = device_cursor;
    device_cursor += end - start;
    for (u64 at = start; at < end; at += kPageSize) TRY(map_page(va + at - start, mfn(Maddr(at)), kHvDevice));
    return reinterpret_cast<void*>(va + page_offset(base));
}

Result<> populate_metadata(Mfn first, u64 count) {
    using namespace x86;
    // Per GiB of memory: 2 MiB of M2P, which guests see read-only at the ABI's address, half as much for
    // 32-bit guests, and 8 MiB of frame table.
    constexpr u64 kFramesPerGib = kGiB / kPageSize;
    static_assert(kFramesPerGib * sizeof(u64) == kSuperpageSize);
    for (u64 gib = first.v / kFramesPerGib; gib * kFramesPerGib < first.v + count; gib++) {
        const Pte* m2p = TRY(back_block(layout::kM2p + gib * kSuperpageSize, 0xff));
        Pte* guest = TRY(entry_for(layout::kGuestM2p + gib * kSuperpageSize, 2, true));
        *guest = Pte(m2p->mfn(), (kHvReadOnly & ~Pte::kGlobal) | Pte::kUser | Pte::kLarge);
        // 32-bit guests have half as much, where their kernels alone read it; both halves of a block come
        // with its first GiB.
        if (gib / 2 < pae_slots.size() - 1) {
            const Pte* m2p32 = TRY(back_block(layout::kM2p32 + gib / 2 * kSuperpageSize, 0xff));
            pae_slots[gib / 2] = Pte(m2p32->mfn(), (kHvReadOnly & ~Pte::kGlobal) | Pte::kLarge);
        }
        for (u64 part = 0; part < 4; part++)
            TRY(back_block(layout::kFrameTable + (gib * 4 + part) * kSuperpageSize, 0));
    }
    return {};
}

Mfn m2p_block(u64 gib) {
    using namespace x86;
    if (gib >= (layout::kGuestM2pEnd - layout::kGuestM2p) / kSuperpageSize) return kNoMfn;
    const u64 va = layout::kGuestM2p + gib * kSuperpageSize;
    const Pte* l3 = table_at(hypervisor_slots[table_index(Vaddr(va), 4) - layout::kFirstSlot].mfn());
    const Pte below = l3[table_index(Vaddr(va), 3)];
    if (!below.present()) return kNoMfn;
    const Pte block = table_at(below.mfn())[table_index(Vaddr(va), 2)];
    return block.present() ? block.mfn() : kNoMfn;
}

Mfn m2p32_block(u64 part) {
    return part < pae_slots.size() && pae_slots[part].present() ? pae_slots[part].mfn() : kNoMfn;
}

}  // namespace domus::port
