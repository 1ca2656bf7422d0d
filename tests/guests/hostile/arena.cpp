// SPDX-License-Identifier: GPL-2.0-or-later
#include "hostile/arena.hpp"

#include "base/assert.hpp"
#include "lib/console.hpp"

namespace hostile {

Pool pool;

namespace {

constexpr u32 kCanaries = 64;
alignas(kPageSize) u64 canaries[kCanaries][512];
// One more than there are CPUs: what runs over the end of the last one's must hurt nobody.
alignas(kPageSize) u8 scratch_pages[kMaxCpus + 1][kScratchBytes];
u64 machine_pages = 0;

// By machine frame number: our own, but for the pool and the arena's tables. Not asked of the
// machine-to-physical table: what that says of a frame is changed when the frame is given up, even while we
// go on using it.
constexpr u64 kMostFrames = u64{1} << 22;
u64 essentials[kMostFrames / 64];
void set_essential(Mfn m, bool is) {
    if (m.v >= kMostFrames) return;
    u64& word = essentials[m.v / 64];
    word = is ? word | u64{1} << (m.v % 64) : word & ~(u64{1} << (m.v % 64));
}

// The arena's level 1 tables, as they were made.
struct Table {
    u64 pfn = 0;
    Mfn mfn{};
};
Table tables[kArenaTables];

u64 pattern(u32 page, u32 word) { return (u64{page} << 32 | word) * 0x9e3779b97f4a7c15u; }

}  // namespace

void make_arena() {
    pool.first_pfn = take_page();
    for (u32 i = 1; i < kPoolPages; i++) take_page();
    for (u32 i = 0; i < kPoolPages; i++) {
        const u64 pfn = pool.first_pfn + i;
        pool.mfn[i] = mfn_of(pfn).v;
        if (update_va(reinterpret_cast<u64>(direct(pfn)), Pte()) != 0) panic("a page cannot be unmapped");
    }
    // The arena's tables are the kernel's own frames, but their contents are anybody's to change.
    for (u64 t = 0; t < kArenaTables; t++) {
        if (!make_tables(kArena + t * kSuperpageSize)) panic("the arena has no tables");
        tables[t].mfn = leaf_table(kArena + t * kSuperpageSize);
        tables[t].pfn = pfn_of_machine(tables[t].mfn);
    }
    for (u64 pfn = 0; pfn < page_count(); pfn++)
        set_essential(mfn_of(pfn), pfn < pool.first_pfn || pfn >= pool.first_pfn + kPoolPages);
    for (const Table& t : tables) set_essential(t.mfn, false);
    const s64 last = hypercall(__HYPERVISOR_memory_op, XENMEM_maximum_ram_page, 0);
    machine_pages = last > 0 ? static_cast<u64>(last) : 0;
}

Mfn arena_table(u32 index) { return tables[index].mfn; }

const Pte* arena_entry(u64 va) {
    return direct<Pte>(tables[(va - kArena) / kSuperpageSize].pfn) + table_index(Vaddr(va), 1);
}

bool essential(Mfn m) {
    if (m.v >= kMostFrames) return m.v < machine_pages;
    return (essentials[m.v / 64] >> (m.v % 64) & 1) != 0;
}

Mfn some_frame(Random& r) {
    switch (r.below(16)) {
        case 0: return tables[r.below(kArenaTables)].mfn;
        case 1: return Mfn(r.edge() & ((u64{1} << 52) - 1));
        case 2: return Mfn(r.below(machine_pages + 1000));
        case 3: return mfn_of(r.below(page_count()));
        case 4: return Mfn(0xfee00 - r.below(0x1000));  // devices
        case 5: return Mfn((0xb8000 >> kPageShift) + r.below(8));
        default:
            // Few pages come up often, so that their uses meet.
            return Mfn(
                pool.mfn[r.one_in(2) ? r.below(16) : r.below(kPoolPages)].load(std::memory_order_relaxed));
    }
}

Mfn expendable_frame(Random& r) {
    for (;;) {
        const Mfn m = some_frame(r);
        if (!essential(m)) return m;
    }
}

Pte some_entry(Random& r) {
    u64 flags = 0;
    switch (r.below(6)) {
        case 0: flags = kRo; break;
        case 1: flags = r.next() & 0xfff; break;
        case 2: flags = r.next() & 0xfff0000000000fff; break;
        // Anything, but no view of the kernel's own pages: what is written through it would be our own fault.
        case 3:
            for (;;)
                if (const Pte e(r.edge()); !essential(e.mfn())) return e;
        default: flags = kRw; break;
    }
    const Mfn m = expendable_frame(r);
    return r.one_in(8) ? Pte() : Pte(Mfn(m.v & ((u64{1} << 40) - 1)), flags);
}

u64 some_arena_address(Random& r) {
    const u64 page = r.one_in(2) ? r.below(32) : r.below(kArenaBytes / kPageSize);
    return kArena + page * kPageSize + (r.one_in(4) ? r.below(kPageSize) : 0);
}

u64 no_code_selector(Random& r) {
    static constexpr u64 kSelectors[] = {0, 0xe010, FLAT_KERNEL_SS, 0xe038, 0xe040, 0xe050, 0xf000, 0xfff8};
    return kSelectors[r.below(sizeof kSelectors / sizeof *kSelectors)];
}

u64 some_unmapped_address(Random& r) { return kArena + kArenaBytes + r.below(kArenaBytes); }

u64 some_address(Random& r) {
    const u64 half = reinterpret_cast<u64>(scratch()) + kScratchHalf;
    switch (r.below(8)) {
        case 0: return some_arena_address(r);
        case 1: return r.edge();
        case 2: return half + r.below(kScratchHalf);
        case 3:
            return kArena + kSuperpageSize * r.below(kArenaTables) - r.below(64);  // over the edge of a table
        default: return half + r.below(64) * 64;
    }
}

u64 some_domain(Random& r) {
    static constexpr u64 kDomains[] = {
        DOMID_SELF, DOMID_SELF, DOMID_SELF,    0,          0,     1, 2, DOMID_IO,
        DOMID_XEN,  DOMID_COW,  DOMID_INVALID, DOMID_IDLE, 0x7fff};
    return r.one_in(8) ? r.edge() : kDomains[r.below(sizeof kDomains / sizeof *kDomains)];
}

u8* scratch() { return scratch_pages[this_cpu().id]; }

void fill_scratch(Random& r) {
    u64* const words = reinterpret_cast<u64*>(scratch());
    const u64 from = r.below(kScratchBytes / 8), count = r.one_in(16) ? kScratchBytes / 8 : 64;
    for (u64 i = from; i < from + count && i < kScratchBytes / 8; i++) {
        switch (r.below(10)) {
            case 0: words[i] = some_entry(r).v; break;
            case 1: words[i] = expendable_frame(r).v; break;
            case 2: words[i] = some_address(r); break;
            case 3: words[i] = r.edge(); break;
            case 4: words[i] = r.below(64) | r.below(64) << 32; break;
            case 5: words[i] = r.edge() << 32 | (r.edge() & 0xffffffff); break;
            case 6: words[i] = some_domain(r) | r.below(8) << 32; break;
            case 7: words[i] = some_domain(r) | some_domain(r) << 16; break;
            default: words[i] = r.below(32); break;
        }
    }
}

void plant_canaries() {
    for (u32 p = 0; p < kCanaries; p++)
        for (u32 w = 0; w < 512; w++) canaries[p][w] = pattern(p, w);
}

u64 dead_canaries() {
    u64 dead = 0;
    for (u32 p = 0; p < kCanaries; p++) {
        for (u32 w = 0; w < 512; w++) {
            const u64 found = __atomic_load_n(&canaries[p][w], __ATOMIC_RELAXED);
            if (found != pattern(p, w) && dead++ < 8)
                say("hostile: canary {} (frame {:x}), word {}: {:x}", p, mfn_of(canaries[p]).v, w, found);
        }
    }
    return dead;
}

}  // namespace hostile
