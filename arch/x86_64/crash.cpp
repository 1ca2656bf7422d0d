// SPDX-License-Identifier: GPL-2.0-or-later
// The crash report: what happened, registers, a symbolised stack trace, the guest that was running, the last
// events; then the machine stops or reboots. One CPU speaks: the first to crash; it stops the others before
// its first line. Nothing here trusts memory: everything that is shown is read with the copy routines, which
// survive a fault.
#include "arch/crash.hpp"

#include <atomic>

#include "arch/cpu.hpp"
#include "arch/insn.hpp"
#include "arch/machine_check.hpp"
#include "arch/shutdown.hpp"
#include "arch/smp.hpp"
#include "arch/symbols.hpp"
#include "arch/trace.hpp"
#include "arch_state/layout.hpp"
#include "base/assert.hpp"
#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "drivers/console.hpp"
#include "port/cpu.hpp"
#include "port/io.hpp"
#include "port/machine.hpp"

extern "C" {
domus::usize raw_copy(void* to, const void* from, domus::usize n);
extern const char image_start[], image_text_end[], boot_stack[];
}

namespace domus::x86 {

namespace {

constexpr u32 kNobody = ~u32{0};
constinit std::atomic<u32> reporter{kNobody};  // the CPU that reports
constinit u32 faults_meanwhile = 0;            // exceptions that the report itself has met
constinit u64 crashed_at = 0;                  // TSC
constinit NmiPolicy nmi_policy = NmiPolicy::dom0;
constinit std::atomic<u32> nmis{0};  // taken and not yet reported

const char* trap_name(u32 vector) {
    static constexpr const char* names[] = {"divide error",
                                            "debug",
                                            "NMI",
                                            "breakpoint",
                                            "overflow",
                                            "bound range",
                                            "invalid opcode",
                                            "no device",
                                            "double fault",
                                            "coprocessor overrun",
                                            "invalid TSS",
                                            "segment not present",
                                            "stack fault",
                                            "general protection",
                                            "page fault",
                                            "reserved",
                                            "x87 error",
                                            "alignment check",
                                            "machine check",
                                            "SIMD error"};
    return vector < sizeof names / sizeof *names ? names[vector] : "exception";
}

// Copies as much as can be read; the number of bytes.
usize peek(void* to, u64 from, usize size) {
    return size - raw_copy(to, reinterpret_cast<const void*>(from), size);
}

bool peek_word(u64 from, u64& word) { return peek(&word, from, sizeof word) == sizeof word; }

void print_registers(const GuestRegs& r) {
    log(Level::error, "rip {:016x}  cs {:04x}  rflags {:08x}  rsp {:016x}  ss {:04x}", r.rip, r.cs, r.rflags,
        r.rsp, r.ss);
    log(Level::error, "rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}", r.rax, r.rbx, r.rcx, r.rdx);
    log(Level::error, "rsi {:016x}  rdi {:016x}  rbp {:016x}  r8  {:016x}", r.rsi, r.rdi, r.rbp, r.r8);
    log(Level::error, "r9  {:016x}  r10 {:016x}  r11 {:016x}  r12 {:016x}", r.r9, r.r10, r.r11, r.r12);
    log(Level::error, "r13 {:016x}  r14 {:016x}  r15 {:016x}", r.r13, r.r14, r.r15);
}

void print_control_registers() {
    log(Level::error, "cr0 {:016x}  cr2 {:016x}  cr3 {:016x}  cr4 {:016x}", read_cr0(), read_cr2(),
        read_cr3(), read_cr4());
}

// `returns`: the address is where a call returns to, which may already be the next function's: look up the
// call itself.
void print_frame(u64 address, bool returns) {
    const Symbol s = find_symbol(returns ? address - 1 : address);
    if (s.name.empty())
        log(Level::error, "  {:016x}", address);
    else
        log(Level::error, "  {:016x}  {}+{:#x}", address, s.name, s.offset);
}

bool is_code(u64 address) {
    return address >= reinterpret_cast<u64>(image_start) && address < reinterpret_cast<u64>(image_text_end);
}

bool is_stack(u64 address) {
    const u64 boot = reinterpret_cast<u64>(boot_stack);
    return address - boot < kStackSize || (address >= layout::kPerCpuArea && address < layout::kImage);
}

// Follows saved frame pointers inside the stack block that `rbp` points into.
void print_call_trace(u64 rip, u64 rsp, u64 rbp) {
    constexpr int kDeepest = 24;
    log(Level::error, "Call trace:");
    print_frame(rip, false);
    // A function without a frame, or that has not made it yet: its caller is on top of the stack.
    u64 top, first = 0;
    if (is_stack(rbp)) (void)peek_word(rbp + 8, first);
    if (is_stack(rsp) && peek_word(rsp, top) && is_code(top) && top != first) print_frame(top, true);
    const u64 block = rbp & ~(kStackSize - 1);
    if (!is_stack(rbp)) return;
    u64 previous = 0;
    for (int depth = 0, same = 0; depth < kDeepest; depth++) {
        u64 next, address;
        if (rbp % 8 != 0 || (rbp & ~(kStackSize - 1)) != block || !peek_word(rbp, next) ||
            !peek_word(rbp + 8, address))
            return;
        if (address == 0) return;
        same = address == previous ? same + 1 : 0;
        if (same < 3) print_frame(address, true);
        if (next <= rbp) return;
        previous = address;
        rbp = next;
    }
    log(Level::error, "  ...");
}

// A look at the stack itself, for a trace that stops early.
void print_stack(u64 rsp) {
    if (!is_stack(rsp)) {
        log(Level::error, "The stack pointer {:x} is on no stack of the hypervisor's.", rsp);
        return;
    }
    log(Level::error, "Stack:");
    constexpr unsigned kLines = 4;
    for (unsigned i = 0; i < kLines; i++) {
        u64 w[4];
        const u64 at = (rsp & ~u64{7}) + i * sizeof w;
        if (peek(w, at, sizeof w) != sizeof w) return;
        log(Level::error, "  {:016x}: {:016x} {:016x} {:016x} {:016x}", at, w[0], w[1], w[2], w[3]);
    }
}

void print_code(u64 rip) {
    u8 bytes[12];
    const usize n = is_code(rip) ? peek(bytes, rip, sizeof bytes) : 0;
    if (n == 0) {
        log(Level::error, "The instruction pointer is not in the hypervisor's code.");
        return;
    }
    char text[48];
    usize at = 0;
    for (usize i = 0; i < n; i++) at += format_to(std::span(text).subspan(at), " {:02x}", bytes[i]);
    log(Level::error, "Code:{}", std::string_view(text, at));
}

void print_guest() {
    const CpuInfo* info = cpu_info();
    const Vcpu* v = info->current;
    if (v == nullptr) {
        log(Level::error, "No guest was running on this CPU.");
        return;
    }
    log(Level::error, "Guest: d{}v{}, in {} mode", v->domain->id, v->id, v->pv.in_kernel ? "kernel" : "user");
    print_registers(info->regs);
}

void print_events() {
    constexpr u32 kOwn = 24, kOthers = 6, kMostCpus = 16;
    const CpuId self = port::this_cpu();
    if (reinterpret_cast<u64>(cpu_info()) < layout::kPerCpuArea ||
        reinterpret_cast<u64>(cpu_info()) >= layout::kImage)
        return;  // still on the boot stack: nothing has been recorded
    log(Level::error, "Last events on CPU {}, newest first:", self);
    log_trace(self, kOwn, crashed_at);
    for (CpuId cpu{0}; cpu.v < port::cpu_count() && cpu.v < kMostCpus; ++cpu) {
        if (cpu == self) continue;
        log(Level::error, "Last events on CPU {}:", cpu);
        log_trace(cpu, kOthers, crashed_at);
    }
}

// What a faulting address says beyond its number.
void explain(const GuestRegs& regs, u64 address) {
    const bool double_fault = regs.vector == static_cast<u32>(Trap::double_fault);
    // An overflowing stack faults below its lowest page, and then again for want of a stack (cpu_area.hpp).
    const u64 base = cpu_area(port::this_cpu());
    if (double_fault && address - base < kStackSize && regs.rsp - base <= kStackSize) {
        log(Level::error, "The stack has overflowed: {:x} is in the unmapped page below it.", address);
        return;
    }
    if (regs.vector != static_cast<u32>(Trap::page_fault)) return;
    const bool present = (regs.error_code & kPfPresent) != 0;
    const char* what = "";
    if (address < kPageSize)
        what = ": a null pointer";
    else if (present && (regs.error_code & kPfFetch) != 0)
        what = layout::guest_may_access(address)
                   ? ": guest memory, which the hypervisor never executes (SMEP)"
                   : ": not code";
    else if (present && layout::guest_may_access(address))
        what = ": guest memory, touched outside of the copy routines (SMAP)";
    else if (present && (regs.error_code & kPfWrite) != 0)
        what = ": read-only";
    else if (layout::guest_may_access(address))
        what = ": guest memory, not mapped";
    log(Level::error, "Faulting address {:016x}{}", address, what);
}

[[noreturn]] void finish() {
    log(Level::error, "----- End of the report -----");
    cpu_state(port::this_cpu()).halted.store(1);
    port::machine_crashed();
}

[[noreturn]] void wait_for_the_end() {
    cpu_state(port::this_cpu()).halted.store(1);
    halt_forever();
}

// Returns on the CPU that is to report, and on no other.
void begin_report(const char* what, u64 rip) {
    const u32 me = port::this_cpu().v;
    u32 expected = kNobody;
    if (reporter.compare_exchange_strong(expected, me)) {
        crashed_at = port::read_tsc();
        console::enter_panic();
        stop_other_cpus();
        console::take_over();
        return;
    }
    if (expected != me) wait_for_the_end();
    // The report has met a fault itself: it ends here, in the end without another word.
    switch (faults_meanwhile++) {
        case 0:
            log(Level::error, "The report is cut short: {} at {:x} while it was made.", what, rip);
            finish();
        case 1: port::machine_crashed();
        default: last_resort();
    }
}

}  // namespace

void set_nmi_policy(NmiPolicy policy) { nmi_policy = policy; }

void crash_on_exception(const GuestRegs& regs, u64 fault_address) {
    const char* const name = trap_name(regs.vector);
    begin_report(name, regs.rip);
    log(Level::error, "----- Domus has crashed: {} (vector {}, error code {:x}) on CPU {} -----", name,
        regs.vector, regs.error_code, port::this_cpu());
    const bool in_guest = (regs.cs & 3) != 0;
    if (regs.vector == static_cast<u32>(Trap::machine_check)) log_machine_checks();
    explain(regs, fault_address);
    if (in_guest) {
        log(Level::error, "It came while a guest ran; these are the guest's registers:");
        cpu_info()->regs = regs;
    } else {
        print_registers(regs);
    }
    print_control_registers();
    if (!in_guest) {
        print_code(regs.rip);
        print_call_trace(regs.rip, regs.rsp, regs.rbp);
        print_stack(regs.rsp);
    }
    print_guest();
    print_events();
    finish();
}

void report_dom0_crash() {
    begin_report("dom0's crash", 0);
    const CpuInfo* const info = cpu_info();
    const Vcpu* const self = info->current;
    log(Level::error, "----- Dom0 has crashed -----");
    if (self != nullptr) {
        log(Level::error, "Its vCPU {} said so, on CPU {}, in {} mode:", self->id, port::this_cpu(),
            self->pv.in_kernel ? "kernel" : "user");
        print_registers(info->regs);
        u64 w[4];
        for (u64 at = info->regs.rsp; at < info->regs.rsp + 4 * sizeof w; at += sizeof w) {
            if (!layout::guest_may_access(at) || peek(w, at, sizeof w) != sizeof w) break;
            log(Level::error, "  {:016x}: {:016x} {:016x} {:016x} {:016x}", at, w[0], w[1], w[2], w[3]);
        }
        core::for_each_vcpu(*self->domain, [&](const Vcpu& v) {
            if (&v == self) return;
            const GuestRegs* regs = &v.pv.regs;
            const char* where = "not running";
            for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu)
                if (cpu_info_of(cpu)->current == &v) regs = &cpu_info_of(cpu)->regs, where = "running";
            log(Level::error, "vCPU {}: {}, last entered at rip {:x}, rsp {:x}", v.id, where, regs->rip,
                regs->rsp);
        });
    }
    print_events();
    finish();
}

// Takes no lock and says nothing: it may have interrupted whoever holds one. The exit path does the rest.
void handle_nmi(GuestRegs& regs) {
    const u32 speaker = reporter.load();
    if (speaker == port::this_cpu().v) return;  // the report goes on, and the reboot after it
    if (speaker != kNobody) wait_for_the_end();
    if (nmi_policy == NmiPolicy::fatal) crash_on_exception(regs, 0);
    nmis.fetch_add(1, std::memory_order_relaxed);
    port::raise_work(port::Work::nmi);
}

}  // namespace domus::x86

namespace domus {

void panic_text(const char* what) {
    using namespace x86;
    cli();
    begin_report(what, reinterpret_cast<u64>(__builtin_return_address(0)));
    log(Level::error, "----- Domus has stopped on CPU {} -----", port::this_cpu());
    log(Level::error, "{}", what);
    print_control_registers();
    print_call_trace(reinterpret_cast<u64>(__builtin_return_address(0)), 0,
                     reinterpret_cast<u64>(__builtin_frame_address(0)));
    print_guest();
    print_events();
    finish();
}

namespace port {

NmiReport take_nmis() {
    // System control port B (PC/AT): bit 7 a parity or system error, bit 6 an error of a device.
    constexpr u8 kSystemError = 0x80, kDeviceError = 0x40;
    const u32 count = x86::nmis.exchange(0, std::memory_order_relaxed);
    const u8 status = port::in8(0x61);
    return {.count = count,
            .system_error = (status & kSystemError) != 0,
            .device_error = (status & kDeviceError) != 0,
            .for_dom0 = x86::nmi_policy == x86::NmiPolicy::dom0};
}

}  // namespace port

}  // namespace domus
