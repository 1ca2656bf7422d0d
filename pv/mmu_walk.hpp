// SPDX-License-Identifier: GPL-2.0-or-later
// From a guest's virtual address to the level 1 table that maps it.
#pragma once

#include "mm/table_update.hpp"
#include "pv/address.hpp"
#include "pv/mmu.hpp"

namespace domus::pv {

// The level 1 table for `va` under a root that the vCPU holds. Another CPU may take the tables below apart
// and the guest reuse them while we look: what is read may be nonsense, but it is read from RAM. EFAULT.
inline Result<Mfn> find_l1(Mfn root, Vaddr va) {
    Mfn m = root;
    for (unsigned shift = kPageShift + 27; shift > kPageShift; shift -= 9) {
        const Pte e = load_entry(port::frame_ptr<Pte>(m)[(va.v >> shift) & (kPtesPerTable - 1)]);
        if ((e.v & (Pte::kPresent | Pte::kLarge)) != Pte::kPresent) [[unlikely]]
            return fail(Error::fault);
        m = e.mfn();
        if (!frame_valid(m)) [[unlikely]]
            return fail(Error::fault);
    }
    return m;
}

inline Mfn current_root(const Vcpu& v) { return v.pv.in_kernel ? v.pv.kernel_table : v.pv.user_table; }

// The table at `m` locked, if it is a level 1 table of the domain's. EINVAL.
inline Result<LockedTable> lock_l1(const Domain& d, Mfn m) {
    if (!frame_valid(m)) return fail(Error::inval);
    Frame& f = frame_of(m);
    LockedTable table = TRY(LockedTable::lock(f));
    if (table.type() != PageType::l1 || f.owner != d.id) return fail(Error::inval);
    return table;
}

}  // namespace domus::pv
