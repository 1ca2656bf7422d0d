// SPDX-License-Identifier: GPL-2.0-or-later
// The crash report: what happened, registers, a symbolised stack trace, the guest that was running; then the
// machine stops or reboots.
#include "arch/crash.hpp"

#include <atomic>

#include "arch/cpu.hpp"
#include "arch/insn.hpp"
#include "arch/smp.hpp"
#include "arch/symbols.hpp"
#include "arch_state/layout.hpp"
#include "base/assert.hpp"
#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "drivers/console.hpp"
#include "port/cpu.hpp"
#include "port/machine.hpp"

namespace domus::x86 {

namespace {

constinit std::atomic<u32> crashing{0};

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

void print_registers(const GuestRegs& r) {
    log(Level::error, "rip {:016x}  cs {:04x}  rflags {:08x}  rsp {:016x}  ss {:04x}", r.rip, r.cs, r.rflags,
        r.rsp, r.ss);
    log(Level::error, "rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}", r.rax, r.rbx, r.rcx, r.rdx);
    log(Level::error, "rsi {:016x}  rdi {:016x}  rbp {:016x}  r8  {:016x}", r.rsi, r.rdi, r.rbp, r.r8);
    log(Level::error, "r9  {:016x}  r10 {:016x}  r11 {:016x}  r12 {:016x}", r.r9, r.r10, r.r11, r.r12);
    log(Level::error, "r13 {:016x}  r14 {:016x}  r15 {:016x}", r.r13, r.r14, r.r15);
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

// Follows saved frame pointers inside the stack block that `rbp` points into.
void print_trace(u64 rip, u64 rbp) {
    log(Level::error, "Call trace:");
    print_frame(rip, false);
    const u64 block = rbp & ~(kStackSize - 1);
    for (int depth = 0; depth < 40; depth++) {
        if ((rbp & ~(kStackSize - 1)) != block || rbp % 8 != 0 ||
            !(rbp >= layout::kPerCpuArea && rbp < layout::kDirectMap))
            return;
        if (rbp % kStackSize > kStackSize - sizeof(CpuInfo)) return;
        const u64* frame = reinterpret_cast<const u64*>(rbp);
        if (frame[1] == 0) return;
        print_frame(frame[1], true);
        if (frame[0] <= rbp) return;
        rbp = frame[0];
    }
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

[[noreturn]] void finish() {
    cpu_state(port::this_cpu()).halted.store(1);
    port::machine_crashed();
}

bool first_to_crash() {
    u32 expected = 0;
    if (!crashing.compare_exchange_strong(expected, 1)) return false;
    console::enter_panic();
    stop_other_cpus();
    return true;
}

}  // namespace

void crash_on_exception(const GuestRegs& regs, u64 fault_address) {
    if (!first_to_crash()) halt_forever();
    log(Level::error, "----- Domus has crashed: {} (vector {}, error code {:x}) on CPU {} -----",
        trap_name(regs.vector), regs.vector, regs.error_code, port::this_cpu());
    if (regs.vector == static_cast<u32>(Trap::page_fault))
        log(Level::error, "Faulting address {:016x}", fault_address);
    print_registers(regs);
    print_trace(regs.rip, regs.rbp);
    print_guest();
    finish();
}

void handle_nmi(GuestRegs& regs) {
    if (crashing.load() != 0) {
        cpu_state(port::this_cpu()).halted.store(1);
        halt_forever();
    }
    log(Level::warning, "NMI on CPU {} at {:x}: ignored", port::this_cpu(), regs.rip);
}

}  // namespace domus::x86

namespace domus {

void panic_text(const char* what) {
    using namespace x86;
    cli();
    if (!first_to_crash()) halt_forever();
    log(Level::error, "----- Domus has stopped on CPU {} -----", port::this_cpu());
    log(Level::error, "{}", what);
    print_trace(reinterpret_cast<u64>(__builtin_return_address(0)),
                reinterpret_cast<u64>(__builtin_frame_address(0)));
    print_guest();
    finish();
}

}  // namespace domus
