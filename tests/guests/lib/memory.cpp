// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's own pages and page tables.
#include "lib/memory.hpp"

#include "base/assert.hpp"
#include "lib/hypercall.hpp"

extern "C" char image_end[];

namespace guest {

namespace {

alignas(kPageSize) Pte direct_l3[kPtesPerTable], direct_l2[kPtesPerTable];
constexpr u64 kDirectTables = kMaxPages / kPtesPerTable;
alignas(kPageSize) Pte direct_l1[kDirectTables][kPtesPerTable];

u64 frames[kMaxPages];
u64 pages = 0, first_free = 0, next_free = 0, boot_pages = 0;
Pte* root = nullptr;
const u64* const machine_to_physical = reinterpret_cast<const u64*>(u64{MACH2PHYS_VIRT_START});

void must(s64 result, const char* what) {
    if (result != 0) panic("{}: {}", what, result);
}

const Pte* table_of(Pte e) {
    const u64 pfn = pfn_of_machine(e.mfn());
    return reinterpret_cast<const Pte*>(pfn < boot_pages ? kBootBase + pfn * kPageSize
                                                         : kDirect + pfn * kPageSize);
}

}  // namespace

u64 page_count() { return pages; }
Mfn mfn_of(u64 pfn) { return Mfn(frames[pfn]); }
void set_mfn(u64 pfn, Mfn m) { frames[pfn] = m.v; }
u64 pfn_of_machine(Mfn m) { return machine_to_physical[m.v]; }
void* boot_pointer(Mfn m) { return reinterpret_cast<void*>(kBootBase + pfn_of_machine(m) * kPageSize); }

Mfn mfn_of(const void* pointer) {
    const u64 va = reinterpret_cast<u64>(pointer);
    return mfn_of((va - (va >= kBootBase ? kBootBase : kDirect)) >> kPageShift);
}

s64 update_va(u64 va, Pte value, u64 flags) {
    return hypercall(__HYPERVISOR_update_va_mapping, va, value.v, flags);
}

s64 write_entry(Mfn table, u32 index, Pte value, u64 command) {
    mmu_update_t request{.ptr = (table.v << kPageShift) | u64{index} * sizeof(Pte) | command, .val = value.v};
    return hypercall(__HYPERVISOR_mmu_update, address(request), 1, 0, DOMID_SELF);
}

s64 extended(u32 command, u64 arg1, u64 arg2) {
    mmuext_op_t op{};
    op.cmd = command;
    op.arg1.mfn = arg1;
    __builtin_memcpy(&op.arg2, &arg2, sizeof arg2);
    return hypercall(__HYPERVISOR_mmuext_op, address(op), 1, 0, DOMID_SELF);
}

void init_memory(const start_info_t& info) {
    const u64* const list = reinterpret_cast<const u64*>(info.mfn_list);
    pages = info.nr_pages < kMaxPages ? info.nr_pages : kMaxPages;
    __builtin_memcpy(frames, list, pages * sizeof(u64));
    root = reinterpret_cast<Pte*>(info.pt_base);
    // What the builder has mapped: everything up to the end of the page tables, and padding after it.
    const u64 tables = (info.pt_base - kBootBase) >> kPageShift, tables_end = tables + info.nr_pt_frames;
    first_free = next_free = (tables_end + 1 + 511) & ~u64{511};
    boot_pages = first_free;

    const auto is_table = [&](u64 pfn) {
        const u64 l1 = (reinterpret_cast<u64>(direct_l1) - kBootBase) >> kPageShift;
        const u64 l2 = (reinterpret_cast<u64>(direct_l2) - kBootBase) >> kPageShift;
        const u64 l3 = (reinterpret_cast<u64>(direct_l3) - kBootBase) >> kPageShift;
        return (pfn >= tables && pfn < tables_end) || (pfn >= l1 && pfn < l1 + kDirectTables) || pfn == l2 ||
               pfn == l3;
    };
    for (u64 pfn = 0; pfn < pages; pfn++)
        direct_l1[pfn / kPtesPerTable][pfn % kPtesPerTable] =
            Pte(Mfn(frames[pfn]), is_table(pfn) ? kRo : kRw);
    for (u64 i = 0; i * kPtesPerTable < pages; i++) direct_l2[i] = Pte(mfn_of(direct_l1[i]), kRw);
    direct_l3[0] = Pte(mfn_of(direct_l2), kRw);
    const auto read_only = [](const void* table) {
        must(update_va(reinterpret_cast<u64>(table), Pte(mfn_of(table), kRo)), "protecting a page table");
    };
    read_only(direct_l3);
    read_only(direct_l2);
    for (auto& table : direct_l1) read_only(table);
    must(write_entry(mfn_of(root), table_index(Vaddr(kDirect), 4), Pte(mfn_of(direct_l3), kRw)),
         "mapping all memory");
}

u64 take_page() {
    if (next_free == pages) panic("out of pages");
    __builtin_memset(direct(next_free), 0, kPageSize);
    return next_free++;
}
u64 free_pages() { return pages - next_free; }
u64 first_free_pfn() { return first_free; }

Mfn kernel_root() { return mfn_of(root); }

u64 copy_root() {
    const u64 pfn = take_page();
    for (u32 i = 0; i < kPtesPerTable; i++)
        if (i < 256 || i >= 272) direct<Pte>(pfn)[i] = root[i];
    must(protect(pfn, false), "protecting a root");
    return pfn;
}

s64 protect(u64 pfn, bool writable) {
    return update_va(reinterpret_cast<u64>(direct(pfn)), Pte(mfn_of(pfn), writable ? kRw : kRo));
}

const Pte* leaf_entry(u64 va) {
    const Pte* table = root;
    for (unsigned level = 4; level > 1; level--) {
        const Pte e = table[table_index(Vaddr(va), level)];
        if (!e.present()) return nullptr;
        table = table_of(e);
    }
    return &table[table_index(Vaddr(va), 1)];
}

Mfn leaf_table(u64 va) { return mfn_of(reinterpret_cast<const void*>(leaf_entry(va))); }

bool make_tables(u64 va) {
    const Pte* table = root;
    for (unsigned level = 4; level > 1; level--) {
        const Pte* entry = &table[table_index(Vaddr(va), level)];
        if (!entry->present()) {
            const u64 fresh = take_page();
            if (protect(fresh, false) != 0) return false;
            if (write_entry(mfn_of(static_cast<const void*>(table)), table_index(Vaddr(va), level),
                            Pte(mfn_of(fresh), kRw)) != 0)
                return false;
        }
        table = table_of(*entry);
    }
    return true;
}

}  // namespace guest
