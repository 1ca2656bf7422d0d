// SPDX-License-Identifier: GPL-2.0-or-later
// Who may do what with whose page tables; and the table a vCPU still has to put away.
#pragma once

#include "mm/table_update.hpp"
#include "pv/mmu.hpp"

namespace domus::pv {

// What d's tables may contain. A domain without devices has no use for uncached memory, and could upset
// others with it.
inline TableRules table_rules(const Domain& d, Preempt preempt) {
    const u64 assists = d.vm_assist;
    return {.owner = d.id,
            .forbidden = d.hardware ? 0 : Pte::kWriteThrough | Pte::kCacheDisable | Pte::kPatL1,
            .forced = d.is_32bit ? 0 : Pte::kUser,
            .is_32bit = d.is_32bit,
            .m2p_strict = ((assists >> VMASST_TYPE_m2p_strict) & 1) != 0,
            .preempt = preempt};
}

// The owner of the pages that `id` names for v: itself, device memory, the hypervisor, or another domain that
// the control domain may reach. ESRCH, EPERM.
Result<DomId> pages_of(const Vcpu& v, u32 id);
// The rules for page tables of the domain that `id` names. ESRCH, EPERM; EINVAL: it is dying.
Result<TableRules> tables_of(const Vcpu& v, u32 id);

// Gives up what v.pv.retiring_table holds; at the start of every operation that may set it, with no table
// locked. RESTART.
inline Result<> finish_retiring(Vcpu& v) {
    if (v.pv.retiring_table == kNoMfn) [[likely]]
        return {};
    Frame& f = frame_of(v.pv.retiring_table);
    TRY(put_page_type(f, Preempt::yes));
    v.pv.retiring_table = kNoMfn;
    put_ref(f);
    return {};
}

// Which address spaces show the machine-to-physical table (VMASST_TYPE_m2p_strict, public xen.h): every
// kernel's; a user mode's only without the assist. `l4` is a validated L4 table.
inline void show_m2p(Mfn l4) {
    Pte& slot = port::frame_ptr<Pte>(l4)[kFirstHypervisorSlot];
    if (load_entry(slot) != hypervisor_slots[0]) store_entry(slot, hypervisor_slots[0]);
}
inline void hide_m2p(Mfn l4) {
    Pte& slot = port::frame_ptr<Pte>(l4)[kFirstHypervisorSlot];
    if (load_entry(slot).present()) store_entry(slot, Pte());
}

// What a vCPU's root is: level 4 of long mode, or the four entries of a 32-bit guest.
constexpr PageType root_type(bool is_32bit) { return is_32bit ? PageType::l3_pae : PageType::l4; }

// The level 4 table of a 32-bit vCPU, in which it keeps as kernel_table and user_table: a page of the
// hypervisor's. ENOMEM.
Result<Mfn> make_pae_root();
// Its first entry leads to pae_table.
void point_pae_root(const PvVcpu& pv);
// The vCPU is on no CPU.
void free_pae_root(PvVcpu& pv);

}  // namespace domus::pv
