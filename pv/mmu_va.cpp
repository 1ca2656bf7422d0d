// SPDX-License-Identifier: GPL-2.0-or-later
// Page-table operations that start from a virtual address: the walk, update_va_mapping, and the writes of a
// guest's kernel to tables that it sees read-only.
#include "port/tlb.hpp"
#include "pv/mmu_flush.hpp"
#include "pv/mmu_rules.hpp"
#include "pv/mmu_walk.hpp"

namespace domus::pv {

Result<Leaf> walk_guest(const Vcpu& v, Vaddr va) {
    const Mfn root = current_root(v);
    if (root == kNoMfn || !guest_address(va.v)) return fail(Error::fault);
    return walk_table(root, va);
}

Result<Leaf> walk_table(Mfn root, Vaddr va) {
    const Mfn table = TRY(find_l1(root, va));
    const unsigned index = table_index(va, 1);
    const Pte entry = load_entry(port::frame_ptr<Pte>(table)[index]);
    if (!entry.present()) return fail(Error::fault);
    return Leaf{table, index, entry};
}

Result<> update_va_mapping(Vcpu& v, Vaddr va, Pte value, u64 flags, u32 from) {
    const DomId pages = from == DOMID_SELF ? v.domain->id : TRY(pages_of(v, from));
    const Mfn root = current_root(v);
    if (root == kNoMfn || !guest_address(va.v)) return fail(Error::inval);
    {
        const auto m = find_l1(root, va);
        if (!m) return fail(Error::inval);
        LockedTable table = TRY(lock_l1(*v.domain, *m));
        TRY(set_l1_entry(table, table_index(va, 1), value, pages, table_rules(*v.domain, Preempt::no)));
    }
    if ((flags & UVMF_FLUSHTYPE_MASK) == UVMF_NONE) return {};
    const bool page_only = (flags & UVMF_FLUSHTYPE_MASK) == UVMF_INVLPG;
    const u64 where = flags & ~static_cast<u64>(UVMF_FLUSHTYPE_MASK);
    Reach reach = Reach::local;
    if (where == UVMF_ALL) {
        reach = Reach::domain;
    } else if (where != UVMF_LOCAL) {
        reach = TRY(reach_of(v, GuestIn<u8>(where)));
    }
    if (page_only) {
        flush_page(v, va, reach);
    } else {
        flush_all(v, reach);
    }
    return {};
}

Result<> write_pte(Vcpu& v, Mfn table, unsigned index, Pte value) {
    LockedTable locked = TRY(lock_l1(*v.domain, table));
    return set_l1_entry(locked, index, value, v.domain->id, table_rules(*v.domain, Preempt::no));
}

Result<Pte> exchange_pte(Vcpu& v, Mfn table, unsigned index, Pte expected, Pte value) {
    LockedTable locked = TRY(lock_l1(*v.domain, table));
    return exchange_l1_entry(locked, index, expected, value, v.domain->id,
                             table_rules(*v.domain, Preempt::no));
}

}  // namespace domus::pv
