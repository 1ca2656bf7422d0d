// SPDX-License-Identifier: GPL-2.0-or-later
// Per-CPU state of the architecture, and the CPUs that exist.
#pragma once

#include <atomic>

#include "arch/cpu_area.hpp"
#include "arch_state/cpu_info.hpp"
#include "base/types.hpp"

namespace domus::x86 {

// What other CPUs read and write of a CPU. One cache line, so that flush requests do not disturb
// neighbours.
struct alignas(64) CpuState {
    std::atomic<u32> domain{0xffff};      // the domain whose address space is loaded; 0xffff: none
    std::atomic<u32> flush_requested{0};  // counts requests …
    std::atomic<u32> flush_done{0};       // … and what has been served
    std::atomic<u32> flush_global{0};     // one of the requests wants global translations gone as well
    std::atomic<u32> flush_caches{0};     // … and one wants the caches written back
    std::atomic<u64> flushed_at{0};       // the clock of flushes at the last complete one
    std::atomic<u32> halted{0};           // has stopped for ever (crash)
    u32 apic_id = 0;
    u32 acpi_id = 0;
    u64 guards_off = 0;         // CR4's SMEP and SMAP, while a 32-bit guest runs: only for itself
    bool gdt_is_32bit = false;  // which reserved page its GDT has: only for itself
};

// Announces `count` CPUs; `states` lives for ever. Until then only the boot CPU exists.
void set_cpus(u32 count, CpuState* states);
CpuState& cpu_state(CpuId cpu);

inline CpuInfo* cpu_info_of(CpuId cpu) {
    return reinterpret_cast<CpuInfo*>(stack_top(cpu) - sizeof(CpuInfo));
}

// Loads a guest's root table. Moving the TLB clock on lets later users of stale frames know that this CPU has
// flushed; worth its price when the address space changes, not on each change between a guest's modes.
enum class Tick : bool { no, yes };
void load_guest_root(u64 cr3, Tick tick);

// Serves flush requests of other CPUs. From the flush interrupt and from relax().
void serve_flush_requests();

// Interrupts another CPU (implemented over the local APIC): `kick` makes it look at its work, `flush` at its
// flush requests.
enum class Ipi : u8 { kick, flush };
void send_ipi(CpuId cpu, Ipi ipi);

}  // namespace domus::x86
