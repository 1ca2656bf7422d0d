// SPDX-License-Identifier: GPL-2.0-or-later
// From the entry stubs to whoever answers: interrupts to their handlers, a guest's exceptions to pv/, our own
// to the table of expected faults or to the crash report.
#include <atomic>

#include "arch/cpu.hpp"
#include "arch/crash.hpp"
#include "arch/extable.hpp"
#include "arch/insn.hpp"
#include "arch/irq_entry.hpp"
#include "arch/trace.hpp"
#include "arch_state/layout.hpp"
#include "arch_state/offsets.hpp"
#include "base/log.hpp"
#include "core/vcpu.hpp"
#include "port/context.hpp"
#include "port/cpu.hpp"
#include "port/guest_entry.hpp"
#include "port/time.hpp"
#include "pv/ldt.hpp"

extern "C" const char guest_iret[], own_iret[];

namespace domus::x86 {

namespace {

constexpr u32 kFirstInterrupt = 0x20;

// A page fault of a guest that says "not in user mode": the CPU's own look into the LDT, or an emulator's
// mistake. QEMU before 8 reads the stack of an IRET in ring 3 as if in ring 0, so that SMAP refuses it: such
// a CPU runs without.
bool smap_misreported(const GuestRegs& regs, u64 address) {
    if ((regs.error_code & (kPfPresent | kPfUser | kPfReserved)) != kPfPresent ||
        !layout::guest_may_access(address))
        return false;
    const u64 cr4 = read_cr4();
    if ((cr4 & kCr4Smap) == 0) return false;
    write_cr4(cr4 & ~kCr4Smap);
    static constinit std::atomic<bool> said{false};
    if (!said.exchange(true))
        log(Level::warning,
            "SMAP: CPU {} applies it to user mode (RIP {:x}, address {:x}), as some emulators do: going on "
            "without it",
            port::this_cpu(), regs.rip, address);
    return true;
}

// A fault in the LDT window means that a guest used a descriptor whose page is not mapped yet.
bool map_ldt_on_fault(const GuestRegs& regs, u64 address) {
    const CpuId cpu = port::this_cpu();
    if ((regs.error_code & kPfPresent) != 0 || !in_ldt_window(address, cpu)) return false;
    Vcpu* v = cpu_info()->current;
    if (v == nullptr) return false;
    const unsigned page = static_cast<unsigned>((address - (cpu_area(cpu) + kAreaLdt)) / kPageSize);
    const Result<Mfn> frame = pv::ldt_page(*v, page);
    if (!frame) return false;
    set_ldt_page(page, *frame);
    return true;
}

// Did the IRETQ fault that leaves for the guest, or the one that leaves an entry which interrupted the guest
// on a stack of its own? Another vCPU may have taken the descriptor away that the guest was running on.
bool is_return_to_guest(const GuestRegs& regs) {
    if (regs.rip == reinterpret_cast<u64>(guest_iret)) return true;
    return regs.rip == reinterpret_cast<u64>(own_iret) &&
           (reinterpret_cast<const u64*>(regs.rsp)[1] & 3) != 0;  // CS
}

// A CPU takes no further NMI before an IRET. From here the way may lead to an idle wait, or to another vCPU,
// rather than back to what was interrupted; the stack is no longer the one that NMIs begin on.
void admit_nmis() {
    u64 scratch;
    asm volatile(
        "movq %%rsp, %0\n\t"
        "pushq %1\n\t"
        "pushq %0\n\t"
        "pushfq\n\t"
        "pushq %2\n\t"
        "leaq 1f(%%rip), %0\n\t"
        "pushq %0\n\t"
        "iretq\n"
        "1:"
        : "=&r"(scratch)
        : "i"(SEL_HV_DS), "i"(SEL_HV_CS)
        : "memory", "cc");
}

// Of ours: a touch of a guest's memory outside of the copy routines, which no landing may hide.
bool smap_violation(const GuestRegs& regs, u64 address) {
    return (regs.error_code & kPfPresent) != 0 && (regs.rflags & kFlagAc) == 0 &&
           layout::guest_may_access(address) && (read_cr4() & kCr4Smap) != 0;
}

}  // namespace

extern "C" void trap_from_guest(GuestRegs* regs) {
    const u32 vector = regs->vector;
    // But for INT 80h and 82h, which guests raise themselves.
    if (vector >= kFirstInterrupt && (vector & ~2u) != 0x80) {
        trace(TraceEvent::interrupt, vector, regs->rip);
        handle_interrupt(static_cast<u8>(vector));
        return;
    }
    if (vector == static_cast<u32>(Trap::nmi)) {
        handle_nmi(*regs);
        return admit_nmis();
    }
    u64 detail = 0;
    if (vector == static_cast<u32>(Trap::page_fault)) {
        detail = read_cr2();
        if (map_ldt_on_fault(*regs, detail)) return;
        if ((regs->error_code & kPfUser) == 0 && smap_misreported(*regs, detail)) [[unlikely]]
            return;
    } else if (vector == static_cast<u32>(Trap::debug)) {
        detail = read_dr6();
        write_dr6(0xffff0ff0);
    }
    trace(TraceEvent::guest_trap, vector | u64{regs->error_code} << 32,
          vector == static_cast<u32>(Trap::page_fault) ? detail : regs->rip);
    upcall::guest_trap(*cpu_info()->current, *regs, detail);
}

extern "C" void guest_syscall(GuestRegs* regs) {
    Vcpu& v = *cpu_info()->current;
    if (v.pv.in_kernel) [[likely]] {
        trace(TraceEvent::hypercall, static_cast<u32>(regs->rax), regs->rdi);
        upcall::guest_hypercall(v, *regs);
    } else {
        upcall::guest_user_syscall(v, *regs);
    }
}

extern "C" void guest_syscall32(GuestRegs* regs) { upcall::guest_syscall32(*cpu_info()->current, *regs); }
extern "C" void guest_sysenter(GuestRegs* regs) { upcall::guest_sysenter(*cpu_info()->current, *regs); }

extern "C" void trap_from_hypervisor(GuestRegs* regs) {
    if (regs->vector >= kFirstInterrupt) {
        trace(TraceEvent::interrupt, regs->vector, regs->rip);
        handle_interrupt(static_cast<u8>(regs->vector));
        return;
    }
    const bool page_fault = regs->vector == static_cast<u32>(Trap::page_fault);
    const u64 address = page_fault ? read_cr2() : 0;
    if (page_fault) {
        if (map_ldt_on_fault(*regs, address)) return;
        if (smap_violation(*regs, address)) crash_on_exception(*regs, address);
    }
    if (const u64 landing = fault_landing(regs->rip); landing != 0) {
        regs->rip = landing;
        return;
    }
    if (is_return_to_guest(*regs)) {
        // The guest's frame would not load. Its general registers are in this frame, the rest still where
        // IRETQ read it.
        CpuInfo* info = cpu_info();
        const GuestRegs faulted = *regs;
        u64 tail[5];
        __builtin_memcpy(tail, reinterpret_cast<const void*>(faulted.rsp), sizeof tail);
        info->regs = faulted;
        info->regs.error_code = 0;
        info->regs.vector = 0;
        info->regs.rip = tail[0];
        info->regs.cs = tail[1];
        info->regs.rflags = tail[2];
        info->regs.rsp = tail[3];
        info->regs.ss = tail[4];
        read_selectors(info->current->pv);
        upcall::guest_failsafe(*info->current, info->regs);
        restart_exit();
    }
    crash_on_exception(*regs, address);
}

// NMI, machine check, double fault; and #DB that hit the hypervisor (a debug register the guest set on an
// address we touch, or a MOV SS trick of the guest's before SYSCALL): nothing of ours uses it.
extern "C" void trap_on_own_stack(GuestRegs* regs) {
    switch (static_cast<Trap>(regs->vector)) {
        case Trap::debug:
            write_dr6(0xffff0ff0);
            regs->rflags &= ~kFlagTf;
            return;
        case Trap::nmi: handle_nmi(*regs); return;
        default: crash_on_exception(*regs, read_cr2());
    }
}

// Work on the way out, until there is none and a guest can run.
extern "C" void exit_work(GuestRegs* regs) {
    CpuInfo* info = cpu_info();
    for (;;) {
        const u32 work = port::take_work();
        if (work != 0) upcall::run_work(work, port::now());
        Vcpu* v = info->current;
        if (v == nullptr) {
            if (info->work.load(std::memory_order_relaxed) != 0) continue;
            // STI takes effect after HLT has begun: an interrupt in between ends the wait.
            asm volatile("sti; hlt; cli" : : : "memory");
            continue;
        }
        if (info->work.load(std::memory_order_relaxed) != 0) continue;
        if (v->nmi_pending.load(std::memory_order_relaxed)) upcall::deliver_nmi(*v, *regs);
        u16 pending_and_mask;
        __builtin_memcpy(&pending_and_mask, v->info, sizeof pending_and_mask);
        if (pending_and_mask == 1) {
            upcall::deliver_events(*v, *regs);
            if (info->work.load(std::memory_order_relaxed) != 0) continue;  // a guest that could not take it
        }
        return;
    }
}

}  // namespace domus::x86
