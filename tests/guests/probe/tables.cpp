// SPDX-License-Identifier: GPL-2.0-or-later
// Page tables: what is refused, with which error, and that a refusal changes nothing.
#include "probe/probe.hpp"

namespace probe {

namespace {

constexpr u64 kPlace = 0xffff900000000000;

Mfn table_at(u64 pfn) { return mfn_of(pfn); }

// A write that must be refused, leaving the entry as it was.
void refused(const char* name, u64 table_pfn, u32 index, Pte value, s64 error) {
    const u64 before = direct<u64>(table_pfn)[index];
    check_error(name, write_entry(table_at(table_pfn), index, value), error);
    check_equal("... changes nothing", direct<u64>(table_pfn)[index], before);
}

u64 fresh(bool writable) {
    const u64 pfn = take_page();
    if (!writable) protect(pfn, false);
    return pfn;
}

}  // namespace

void check_tables() {
    check("tables for an address of its own", make_tables(kPlace));
    const Mfn l1 = leaf_table(kPlace);
    const u64 l1_pfn = pfn_of_machine(l1);
    const u64 data = fresh(true), read_only = fresh(false);
    const u64 page = kPlace;

    check_error("mapping a page", update_va(page, Pte(mfn_of(data), kRw)), 0);
    *reinterpret_cast<volatile u64*>(page) = 0x1234;
    check_equal("... it is that page", *direct<u64>(data), 0x1234);
    const Pte entry = *leaf_entry(page);
    check("... the user bit is set", entry.user());
    check("... no global bit", (entry.v & Pte::kGlobal) == 0, entry.v);
    check_error("a global entry is taken", update_va(page, Pte(mfn_of(data), kRw | Pte::kGlobal)), 0);
    check("... as one that is not", (leaf_entry(page)->v & Pte::kGlobal) == 0, leaf_entry(page)->v);

    refused("a writable mapping of a page table", l1_pfn, 1, Pte(l1, kRw), -EBUSY);
    check_error("a read-only mapping of it", write_entry(l1, 1, Pte(l1, kRo)), 0);
    check_error("... taken away", write_entry(l1, 1, Pte()), 0);
    refused("a frame beyond all memory", l1_pfn, 1, Pte(Mfn(0xfffffffff0), kRw), -EPERM);
    refused("one of the hypervisor's frames", l1_pfn, 1, Pte(Mfn(0x201), kRo), -EBUSY);
    refused("a reserved bit in the address", l1_pfn, 1, Pte((u64{1} << 51) | (mfn_of(data).v << 12) | kRo),
            -EPERM);
    check_error("an entry that is not present may hold anything", write_entry(l1, 1, Pte(0xfffffffffffffffe)),
                0);
    check_error("... and is empty again", write_entry(l1, 1, Pte()), 0);

    // Types.
    check_error("pinning a page that is mapped writable", extended(MMUEXT_PIN_L1_TABLE, mfn_of(data).v),
                -EINVAL);
    check_error("pinning an empty level 1 table", extended(MMUEXT_PIN_L1_TABLE, mfn_of(read_only).v), 0);
    check_error("... twice", extended(MMUEXT_PIN_L1_TABLE, mfn_of(read_only).v), -EINVAL);
    check_error("... mapping it writable", protect(read_only, true), -EBUSY);
    check_error("... as another level", extended(MMUEXT_PIN_L2_TABLE, mfn_of(read_only).v), -EINVAL);
    check_error("... unpinning it", extended(MMUEXT_UNPIN_TABLE, mfn_of(read_only).v), 0);
    check_error("... twice", extended(MMUEXT_UNPIN_TABLE, mfn_of(read_only).v), -EINVAL);
    check_error("... mapping it writable now", protect(read_only, true), 0);
    check_error("pinning no frame", extended(MMUEXT_PIN_L1_TABLE, 0xffffffffff), -EINVAL);

    // A table with an entry that must not be is refused as a whole.
    const u64 evil = fresh(true);
    direct<u64>(evil)[5] = Pte(l1, kRw).v;
    protect(evil, false);
    check_error("pinning a table that maps a table writable", extended(MMUEXT_PIN_L1_TABLE, mfn_of(evil).v),
                -EBUSY);
    check_error("... it can be written again", protect(evil, true), 0);

    // Upper levels.
    const u64 l4_pfn = copy_root();
    check_error("pinning a level 4 table", extended(MMUEXT_PIN_L4_TABLE, mfn_of(l4_pfn).v), 0);
    for (const u32 slot : {256u, 257u, 264u, 271u}) {
        check_error("an entry of the hypervisor's", write_entry(mfn_of(l4_pfn), slot, Pte(l1, kRw)), -EINVAL);
        check_error("... taking it away", write_entry(mfn_of(l4_pfn), slot, Pte()), -EINVAL);
    }
    check_error("a level 1 table as level 3", write_entry(mfn_of(l4_pfn), 300, Pte(l1, kRw)), -EINVAL);
    check_error("a large page", write_entry(mfn_of(l4_pfn), 300, Pte(mfn_of(data), kRw | Pte::kLarge)),
                -EINVAL);
    check_error("running on it", extended(MMUEXT_NEW_BASEPTR, mfn_of(l4_pfn).v), 0);
    check_error("... unpinning it meanwhile", extended(MMUEXT_UNPIN_TABLE, mfn_of(l4_pfn).v), 0);
    check_error("... it stays a table", protect(l4_pfn, true), -EBUSY);
    check_error("... and back", extended(MMUEXT_NEW_BASEPTR, kernel_root().v), 0);
    check_error("... it is a page again", protect(l4_pfn, true), 0);
    check_error("running on a page that is no table", extended(MMUEXT_NEW_BASEPTR, mfn_of(data).v), -EINVAL);

    // By writing to it: emulated.
    hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables);
    auto* const slot = direct<volatile u64>(l1_pfn) + 7;
    auto fault = attempt([&] { *slot = Pte(mfn_of(data), kRo).v; });
    check("a write to a level 1 table is carried out", !fault);
    check_equal("... it is there", *slot | Pte::kAccessed | Pte::kUser,
                Pte(mfn_of(data), kRo).v | Pte::kAccessed | Pte::kUser);
    fault = attempt([&] { *slot = Pte(l1, kRw).v; });
    check("one that must not be faults", fault && fault->vector == kPageFault);
    check_equal("... and changes nothing", Pte(*slot).mfn().v, mfn_of(data).v);
    u64 expected = *slot;
    fault = attempt([&] {
        __atomic_compare_exchange_n(direct<u64>(l1_pfn) + 7, &expected, 0, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    });
    check("a locked compare-and-exchange is carried out", !fault && *slot == 0, *slot);

    // Lists: what was done before a bad request stays, and is counted.
    mmu_update_t list[3] = {{(l1.v << kPageShift) + 10 * 8, Pte(mfn_of(data), kRo).v},
                            {(l1.v << kPageShift) + 11 * 8, Pte(l1, kRw).v},
                            {(l1.v << kPageShift) + 12 * 8, Pte(mfn_of(data), kRo).v}};
    u32 done = 99;
    check_error("a list with a bad request in the middle",
                hypercall(__HYPERVISOR_mmu_update, reinterpret_cast<u64>(list), 3, address(done), DOMID_SELF),
                -EBUSY);
    check_equal("... one was done", done, 1);
    check("... the first", Pte(direct<u64>(l1_pfn)[10]).present() && !Pte(direct<u64>(l1_pfn)[12]).present());
    check_error("a list that is not there", hypercall(__HYPERVISOR_mmu_update, 0x1000, 3, 0, DOMID_SELF),
                -EFAULT);
    check_error("a list in the hypervisor",
                hypercall(__HYPERVISOR_mmu_update, 0xffff830000000000, 3, 0, DOMID_SELF), -EFAULT);
    write_entry(l1, 10, Pte());
}

}  // namespace probe
