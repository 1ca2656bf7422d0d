// SPDX-License-Identifier: GPL-2.0-or-later
// IDT gates (AMD APM vol. 2, 4.8.4): interrupt gates all, so that the hypervisor is entered with interrupts
// off.
#include "arch/idt.hpp"

#include "arch/cpu_area.hpp"
#include "arch_state/offsets.hpp"
#include "arch_state/regs.hpp"

extern "C" const char entry_stubs[];  // 256 stubs of 16 bytes (entry.S)

namespace domus::x86 {

namespace {

struct Gate {
    u64 low = 0, high = 0;
};
constinit Gate idt[256];

constexpr unsigned kStubSize = 16;

void set_gate(unsigned vector, u8 dpl, u8 ist, u16 code_selector = SEL_HV_CS) {
    constexpr u64 kPresent = u64{1} << 47, kInterruptGate = u64{0xe} << 40;
    const u64 target = reinterpret_cast<u64>(entry_stubs) + vector * kStubSize;
    idt[vector].low = (target & 0xffff) | u64{code_selector} << 16 | u64{ist} << 32 | kInterruptGate |
                      u64{dpl} << 45 | kPresent | (target >> 16 & 0xffff) << 48;
    idt[vector].high = target >> 32;
}

}  // namespace

void load_early_idt() {
    constexpr u16 kBootCode = 8;  // boot.S
    for (unsigned v = 0; v < 256; v++) set_gate(v, 0, 0, kBootCode);
    load_idt();
}

void build_idt() {
    for (unsigned v = 0; v < 256; v++) set_gate(v, 0, 0);
    // Software interrupts that guests' user code may raise; any other INT n faults, and the fault is sent on
    // by the guest's own gate.
    set_gate(static_cast<unsigned>(Trap::breakpoint), 3, 0);
    set_gate(static_cast<unsigned>(Trap::overflow), 3, 0);
    set_gate(0x80, 3, 0);
    set_gate(0x82, 1, 0);  // hypercalls of 32-bit guests' kernels; 64-bit ones run in ring 3, and fault
    set_gate(static_cast<unsigned>(Trap::double_fault), 0, kIstDoubleFault);
    set_gate(static_cast<unsigned>(Trap::nmi), 0, kIstNmi);
    set_gate(static_cast<unsigned>(Trap::machine_check), 0, kIstMachineCheck);
    set_gate(static_cast<unsigned>(Trap::debug), 0, kIstDebug);
}

void load_idt() {
    struct [[gnu::packed]] {
        u16 limit = sizeof idt - 1;
        u64 base = reinterpret_cast<u64>(idt);
    } pointer;
    asm volatile("lidt %0" : : "m"(pointer));
}

}  // namespace domus::x86
