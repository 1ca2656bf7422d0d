// SPDX-License-Identifier: GPL-2.0-or-later
// The virtual area of one CPU: stacks with unmapped pages between them, task state, the GDT and LDT windows,
// the SYSCALL stub.
//
// clang-format off
//   0x00000  stack block, 64 KiB: page 0 unmapped, 1-2 double fault, 4-5 NMI, 7-8 machine check, 10 debug, 12-15 primary with CpuInfo
//            on top
//   0x20000  GDT window, 16 pages: 0-13 map the current vCPU's GDT frames, 14 is the hypervisor's (the ABI's reserved entries)
//   0x30000  LDT window, 16 pages: the current vCPU's LDT, mapped page by page on first use
//   0x40000  SYSCALL stub: the same frame for every CPU; its code finds the CPU's stack relative to itself
//   0x41000  task state segment
//   0x42000  ring of last events (trace.hpp)
//   0x43000  what the GDT window's page 14 is for 64-bit guests
//   0x44000  … and for 32-bit ones
// clang-format on
#pragma once

#include "arch_state/layout.hpp"
#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::x86 {

inline constexpr u64 kCpuAreaStride = 512 * kKiB;
inline constexpr u64 kAreaGdt = 0x20000, kAreaLdt = 0x30000, kAreaStub = 0x40000, kAreaTss = 0x41000,
                     kAreaTrace = 0x42000, kAreaGdt64 = 0x43000, kAreaGdt32 = 0x44000;
inline constexpr unsigned kGdtWindowPages = 16, kGdtReservedPage = 14, kLdtWindowPages = 16;

constexpr u64 cpu_area(CpuId cpu) { return layout::kPerCpuArea + cpu.v * kCpuAreaStride; }
constexpr u64 stack_top(CpuId cpu) { return cpu_area(cpu) + 0x10000; }

// Interrupt stack table slots of the TSS, 1 to 7.
inline constexpr u8 kIstDoubleFault = 1, kIstNmi = 2, kIstMachineCheck = 3, kIstDebug = 4;

// Allocates and maps a CPU's area. Any CPU, before that one starts. ENOMEM.
Result<> create_cpu_area(CpuId cpu);

// Loads this CPU's GDT, TSS, IDT, SYSCALL registers and control bits. Runs on the CPU itself, on its own
// stack.
void load_cpu_tables(CpuId cpu);

// Maps frame into page `page` of this CPU's GDT or LDT window (kNoMfn: unmaps it).
void set_gdt_page(unsigned page, Mfn frame);
void set_ldt_page(unsigned page, Mfn frame);
// Maps the reserved page of the GDT that guests of this width have. Selectors and descriptors of the
// hypervisor's own are the same in both.
void set_gdt_reserved(bool is_32bit);
bool in_ldt_window(u64 va, CpuId cpu);
// Loads the hypervisor's LDT descriptor for a table of `entries` in the window (0: none).
void load_ldt(u32 entries);

}  // namespace domus::x86
