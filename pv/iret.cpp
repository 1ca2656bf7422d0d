// SPDX-License-Identifier: GPL-2.0-or-later
// HYPERVISOR_iret: the return of a PV guest's kernel, from an exception or to user mode (public
// arch-x86/xen-x86_64.h, struct iret_context).
#include "pv/iret.hpp"

#include "abi/xen.hpp"
#include "arch_state/offsets.hpp"
#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "port/guest_memory.hpp"
#include "port/pv_hw.hpp"
#include "pv/bounce.hpp"

namespace domus::pv {

void iret(Vcpu& v, GuestRegs& regs) {
    iret_context context;
    if (port::copy_from_guest(&context, Vaddr(regs.rsp), sizeof context) != 0) {
        guest_log(Level::error, "d{}v{}: iret with an unreadable stack at {:x}: the domain is crashed",
                  v.domain->id, v.id, regs.rsp);
        return port::crash_current_domain(v);
    }
    // In a saved CS, privilege level 3 means user mode, all else the guest's kernel.
    if ((context.cs & 3) == 3) {
        if (v.pv.user_table == kNoMfn) {
            guest_log(Level::error,
                      "d{}v{}: iret to user mode without a user page table: the domain is crashed",
                      v.domain->id, v.id);
            return port::crash_current_domain(v);
        }
        port::enter_user_mode(v);
    }
    regs.rip = context.rip;
    regs.cs = (context.cs & 0xffff) | 3;
    regs.rflags = sanitise_flags(context.rflags);
    regs.rsp = context.rsp;
    regs.ss = (context.ss & 0xffff) | 3;
    regs.rax = context.rax;
    regs.vector = 0;
    if ((context.flags & VGCF_in_syscall) != 0) {
        // The way back from a system call: RCX and R11 are the instruction's, and SYSRET will do if the
        // segments are its own.
        if (regs.cs == SEL_GUEST_CS64 && regs.ss == SEL_GUEST_DS) regs.vector = kSyscallVector;
        regs.rcx = context.rip;
        regs.r11 = context.rflags;
    } else {
        regs.rcx = context.rcx;
        regs.r11 = context.r11;
    }
    __atomic_store_n(&v.info->evtchn_upcall_mask, (context.rflags & kFlagIf) == 0, __ATOMIC_RELAXED);
}

}  // namespace domus::pv
