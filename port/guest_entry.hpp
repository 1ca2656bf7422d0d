// SPDX-License-Identifier: GPL-2.0-or-later
// How entry code hands a guest's doings to the rooms above. The current vCPU's registers are in `regs`, in
// place: what the functions leave there is what the guest goes on with.
#pragma once

#include "base/types.hpp"

namespace domus {

struct Domain;
struct GuestRegs;
struct Vcpu;

namespace upcall {

// An exception in the guest, regs.vector and regs.error_code telling which; `fault_address` is CR2 for a page
// fault, DR6 for a debug exception. Implemented by pv/.
void guest_trap(Vcpu& v, GuestRegs& regs, u64 fault_address);

// SYSCALL in guest user mode (pv/) and in guest kernel mode: a hypercall (hypercall/).
void guest_user_syscall(Vcpu& v, GuestRegs& regs);
void guest_hypercall(Vcpu& v, GuestRegs& regs);
// INT 82h in a 32-bit guest's kernel: its hypercall (hypercall/).
void guest_hypercall32(Vcpu& v, GuestRegs& regs);

// System calls of 32-bit processes: SYSCALL from 32-bit code; SYSENTER, of which the CPU keeps neither RIP
// nor RSP (both 0 in regs). (pv/)
void guest_syscall32(Vcpu& v, GuestRegs& regs);
void guest_sysenter(Vcpu& v, GuestRegs& regs);

// IRET to the guest, or the load of a data segment, faulted: the guest's failsafe handler takes over (pv/).
void guest_failsafe(Vcpu& v, GuestRegs& regs);

// Fills a page with the stubs by which this PV guest makes hypercalls (hypercall/).
void fill_hypercall_page(const Domain& d, void* page);

// The guest has an unmasked pending event: enter its event callback (pv/).
void deliver_events(Vcpu& v, GuestRegs& regs);

// The guest has an NMI pending: enter its NMI callback, if it has one and is not in it (pv/).
void deliver_nmi(Vcpu& v, GuestRegs& regs);

}  // namespace upcall
}  // namespace domus
