// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/mirror_tables.hpp"

#include <cstring>

#include "mm/heap.hpp"
#include "mm/page_type.hpp"
#include "mm/table_entry.hpp"
#include "port/cpu.hpp"
#include "port/memory.hpp"
#include "port/tlb.hpp"

namespace domus::core {

namespace {

Pte* entries(Mfn table) { return port::frame_ptr<Pte>(table); }

// Sets bits as the CPU does: only if the entry is still what was read.
bool set_bits(Pte& e, Pte seen, u64 bits) {
    if ((seen.v & bits) == bits) return true;
    return __atomic_compare_exchange_n(&e.v, &seen.v, seen.v | bits, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

void clear_guest_slots(Mfn root) {
    Pte* const e = entries(root);
    for (unsigned i = 0; i < kPtesPerTable; i++)
        if (!is_hypervisor_slot(i)) store_entry(e[i], Pte());
}

}  // namespace

Result<> MirrorTables::create(DomId domain, u32 roots, u32 tables) {
    domain_ = domain;
    const auto all = [&]() -> Result<> {
        if (roots_.size() == 0) roots_ = TRY(make_array<Root>(roots));
        if (tables_.size() == 0) tables_ = TRY(make_array<Table>(tables));
        if (buckets_.size() == 0) {
            unsigned bits = 6;
            while ((u32{1} << bits) < tables) bits++;
            buckets_ = TRY(make_array<u32>(usize{1} << bits));
            shift_ = 64 - bits;
            for (u32& b : buckets_) b = kNone;
        }
        while (roots_made_ < roots_.size()) {
            roots_[roots_made_].mirror = TRY(alloc_frames(0, {.scrub = true}));
            roots_made_++;
            if (port::preempt_wanted()) return fail(Error::restart);
        }
        while (pages_made_ < tables_.size()) {
            Table& t = tables_[pages_made_];
            t.frame = static_cast<u32>(TRY(alloc_frames(0)).v);
            t.next = std::exchange(free_, pages_made_++);
            free_count_++;
            if (port::preempt_wanted()) return fail(Error::restart);
        }
        return {};
    };
    const Result<> r = all();
    if (!r && r.error() != Error::restart) destroy();
    return r;
}

void MirrorTables::destroy() {
    Array<Root> roots;
    Array<Table> tables;
    Array<u32> buckets;
    u32 roots_made = 0, pages_made = 0;
    {
        LockGuard guard(lock_);
        roots = std::move(roots_), tables = std::move(tables_), buckets = std::move(buckets_);
        roots_made = std::exchange(roots_made_, 0), pages_made = std::exchange(pages_made_, 0);
        free_ = kNone;
        free_count_ = 0;
    }
    while (roots_made > 0) free_frames(roots[--roots_made].mirror, 0);
    while (pages_made > 0) free_frames(Mfn(tables[--pages_made].frame), 0);
}

Mfn MirrorTables::enter(u32 number, Mfn guest_root) {
    LockGuard guard(lock_);
    Root& r = roots_[number];
    Pte* const mirror = entries(r.mirror);
    const Pte* const guest = entries(guest_root);
    if (r.guest != guest_root) {
        clear_guest_slots(r.mirror);
        r.guest = guest_root;
        // What other address spaces share is there at once.
        for (unsigned i = 0; i < kPtesPerTable; i++) {
            if (is_hypervisor_slot(i)) continue;
            const Pte e = load_entry(guest[i]);
            if (!e.present() || (e.v & Pte::kAccessed) == 0) continue;
            if (const u32 t = find(e.mfn()); t != kNone)
                store_entry(mirror[i], Pte(Mfn(tables_[t].frame), e.flags()));
        }
    }
    for (unsigned i = kFirstHypervisorSlot; i < kFirstHypervisorSlot + kHypervisorSlots; i++)
        store_entry(mirror[i], load_entry(guest[i]));
    return r.mirror;
}

u32 MirrorTables::find(Mfn guest) const {
    u32 t = bucket(guest.v);
    while (t != kNone && tables_[t].guest != guest.v) t = tables_[t].next;
    return t;
}

u32 MirrorTables::add(Mfn guest) {
    if (free_ == kNone) return kNone;
    const u32 t = free_;
    free_ = tables_[t].next;
    free_count_--;
    std::memset(port::frame_ptr(Mfn(tables_[t].frame)), 0, kPageSize);
    tables_[t].guest = static_cast<u32>(guest.v);
    tables_[t].next = std::exchange(bucket(guest.v), t);
    return t;
}

void MirrorTables::empty() {
    for (u32 i = 0; i < roots_made_; i++) clear_guest_slots(roots_[i].mirror);
    for (u32& b : buckets_) b = kNone;
    free_ = kNone;
    for (u32 i = 0; i < pages_made_; i++) tables_[i].next = std::exchange(free_, i);
    free_count_ = pages_made_;
}

MirrorTables::Fault MirrorTables::resolve(u32 number, Vaddr va, Access access, PageLog& log) {
    LockGuard guard(lock_);
    const Root& root = roots_[number];
    if (root.guest == kNoMfn) return Fault::absent;
    for (;;) {
        // The guest's tables as they are now: what is linked stays a table while the lock is held.
        struct Step {
            Mfn table;
            Pte* at;
            Pte seen;
        };
        Step path[5];
        bool writable = true, executable = true;
        Mfn table = root.guest;
        for (unsigned level = 4; level >= 1; level--) {
            Pte* const at = entries(table) + table_index(va, level);
            const Pte e = load_entry(*at);
            if (!e.present() || (level > 1 && e.large())) return Fault::absent;
            path[level] = {table, at, e};
            writable = writable && e.writable();
            executable = executable && (e.v & Pte::kNoExecute) == 0;
            table = e.mfn();
        }
        if ((access.write && !writable) || (access.fetch && !executable)) return Fault::protection;

        bool again = false;
        for (unsigned level = 4; level >= 1 && !again; level--) {
            const u64 bits = Pte::kAccessed | (level == 1 && access.write ? Pte::kDirty : 0);
            if ((path[level].seen.v & bits) == bits) continue;
            again = !set_bits(*path[level].at, path[level].seen, bits);
            if (!again) log.written(path[level].table);
            path[level].seen.v |= bits;
        }
        if (again) continue;  // another CPU has just written an entry

        Mfn mirror = root.mirror;
        for (unsigned level = 4; level > 1 && !again; level--) {
            Pte& at = entries(mirror)[table_index(va, level)];
            Pte e = load_entry(at);
            if (!e.present()) {
                const Mfn below = path[level].seen.mfn();
                u32 t = find(below);
                if (t == kNone) t = add(below);
                if (t == kNone) {
                    // Too little room for all that the guest uses: from the start.
                    empty();
                    port::flush_domain(domain_);
                    again = true;
                    break;
                }
                e = Pte(Mfn(tables_[t].frame), path[level].seen.flags());
                store_entry(at, e);
            }
            mirror = e.mfn();
        }
        if (again) continue;

        const Pte leaf = path[1].seen;
        u64 value = leaf.v | Pte::kAccessed | Pte::kDirty;
        if (access.write)
            log.written(leaf.mfn());
        else if (leaf.writable() && ((leaf.v & Pte::kDirty) == 0 || !log.is_written(leaf.mfn())))
            value &= ~Pte::kWritable;
        store_entry(entries(mirror)[table_index(va, 1)], Pte(value));
        return Fault::resolved;
    }
}

void MirrorTables::entry_written(Mfn table, unsigned level, unsigned index) {
    LockGuard guard(lock_);
    if (level == 4) {
        if (is_hypervisor_slot(index)) return;
        for (u32 i = 0; i < roots_made_; i++)
            if (roots_[i].guest == table) store_entry(entries(roots_[i].mirror)[index], Pte());
        return;
    }
    if (buckets_.size() == 0) return;
    if (const u32 t = find(table); t != kNone) store_entry(entries(Mfn(tables_[t].frame))[index], Pte());
}

void MirrorTables::table_ends(Mfn table) {
    LockGuard guard(lock_);
    for (u32 i = 0; i < roots_made_; i++)
        if (roots_[i].guest == table) roots_[i].guest = kNoMfn;
    if (buckets_.size() == 0) return;
    u32* link = &bucket(table.v);
    while (*link != kNone && tables_[*link].guest != table.v) link = &tables_[*link].next;
    if (*link != kNone) *link = tables_[*link].next;
}

}  // namespace domus::core
