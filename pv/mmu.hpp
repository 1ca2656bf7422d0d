// SPDX-License-Identifier: GPL-2.0-or-later
// The page-table operations of a PV guest: what mmu_update, mmuext_op, update_va_mapping and trapped writes
// to page tables do. Encoding arguments and continuations is the hypercall room's business. The path of an
// update through the files is told in docs/life-of-a-page-table-update.md.
#pragma once

#include "abi/xen.hpp"
#include "abi/xen32.hpp"
#include "arch_state/pte.hpp"
#include "base/result.hpp"
#include "core/domain.hpp"
#include "port/guest_ptr.hpp"

namespace domus::pv {

// How far a list of requests has come. RESTART: preempted; the caller goes on with request `done`. Any other
// error is that of request `done`.
struct MmuProgress {
    u32 done = 0;
    Result<> status;
};

// HYPERVISOR_mmu_update (public xen.h) for the current vCPU. `foreign`: the domain whose pages the entries
// shall map, and in bits 31..16, if not zero, one more than the id of the domain whose tables they are.
// Errors of a request: EINVAL malformed, or an entry that is not allowed; EPERM; ESRCH; EFAULT.
MmuProgress mmu_update(Vcpu& v, GuestIn<mmu_update_t> requests, u32 count, u32 foreign);

// HYPERVISOR_mmuext_op, with requests as 64-bit and as 32-bit guests have them. `foreign`: DOMID_SELF, or the
// domain whose pages are meant.
MmuProgress mmuext_op(Vcpu& v, GuestIn<mmuext_op_t> requests, u32 count, u32 foreign);
MmuProgress mmuext_op(Vcpu& v, GuestIn<abi32::MmuextOp> requests, u32 count, u32 foreign);

// HYPERVISOR_update_va_mapping and …_otherdomain (`from`: DOMID_SELF or the domain whose page is mapped).
// EINVAL: no level 1 table there, or an entry that is not allowed. RESTART: nothing done, call again.
Result<> update_va_mapping(Vcpu& v, Vaddr va, Pte value, u64 flags, u32 from = DOMID_SELF);

// The level 1 entry that maps `va` in the address space that the vCPU uses now. EFAULT: none. The answer is
// true only at the moment of asking; the walk itself is safe against any guest.
struct Leaf {
    Mfn table;
    unsigned index;
    Pte entry;
};
Result<Leaf> walk_guest(const Vcpu& v, Vaddr va);
// … in the address space of this level 4 table, which somebody holds as one. `va` is a guest's.
Result<Leaf> walk_table(Mfn root, Vaddr va);

// A guest's kernel wrote to a level 1 table of its own that it sees read-only
// (VMASST_TYPE_writable_pagetables). EINVAL: not such a table, or an entry that is not allowed.
Result<> write_pte(Vcpu& v, Mfn table, unsigned index, Pte value);
// … by an instruction that compares first; returns the entry before, written only if that is `expected`.
Result<Pte> exchange_pte(Vcpu& v, Mfn table, unsigned index, Pte expected, Pte value);

// Makes `l4` the vCPU's table for kernel or user mode, for a vCPU that is not running: the initial context,
// or dom0's construction. The old one's references are given up. EINVAL; RESTART (`preemptible`): call again.
Result<> set_kernel_table(Vcpu& v, Mfn l4, bool preemptible);
Result<> set_user_table(Vcpu& v, Mfn l4, bool preemptible);  // kNoMfn: none
// Gives up all tables of a vCPU that will not run again. RESTART: call again.
Result<> drop_tables(Vcpu& v);

}  // namespace domus::pv
