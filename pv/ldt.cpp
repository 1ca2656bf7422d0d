// SPDX-License-Identifier: GPL-2.0-or-later
// Taking pages into use for the table, and giving them up.
#include "pv/ldt.hpp"

#include "pv/descriptors.hpp"
#include "pv/mmu_rules.hpp"

namespace domus::pv {

Result<Mfn> ldt_page(Vcpu& v, unsigned page) {
    PvVcpu& pv = v.pv;
    if (page >= kLdtPages || page * kDescriptorsPerPage >= pv.ldt_entries) return fail(Error::fault);
    if ((pv.ldt_held >> page & 1) != 0) return pv.ldt_frames[page];
    const Leaf leaf = TRY(walk_guest(v, Vaddr(pv.ldt_base + page * kPageSize)));
    PageRef ref = TRY(get_page(leaf.entry.mfn(), v.domain->id));
    TRY(get_page_type(ref.frame(), PageType::descriptors, table_rules(*v.domain, Preempt::no)));
    outside_writer_begins(ref.frame());  // as in hold_typed()
    ref.release();
    pv.ldt_frames[page] = leaf.entry.mfn();
    pv.ldt_held |= 1u << page;
    return leaf.entry.mfn();
}

void release_ldt(Vcpu& v) {
    PvVcpu& pv = v.pv;
    for (unsigned page = 0; page < kLdtPages; page++) {
        if ((pv.ldt_held >> page & 1) == 0) continue;
        Frame& f = frame_of(pv.ldt_frames[page]);
        outside_writer_ends(f);
        (void)put_page_type(f, Preempt::no);
        put_ref(f);
    }
    pv.ldt_held = 0;
}

}  // namespace domus::pv
