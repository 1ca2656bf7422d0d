// SPDX-License-Identifier: GPL-2.0-or-later
// port/cpu.hpp: work bits, waiting, kicking.
#include "arch/cpu.hpp"

#include "arch/insn.hpp"
#include "port/cpu.hpp"

namespace domus::x86 {

namespace {
constinit CpuState boot_cpu_state;
constinit CpuState* states = &boot_cpu_state;
constinit u32 count = 1;
}  // namespace

void set_cpus(u32 n, CpuState* storage) {
    states = storage;
    count = n;
}

CpuState& cpu_state(CpuId cpu) { return states[cpu.v]; }

}  // namespace domus::x86

namespace domus::port {

using namespace x86;

u32 cpu_count() { return count; }

void relax() {
    pause();
    const CpuState& me = cpu_state(this_cpu());
    if (me.flush_requested.load(std::memory_order_relaxed) != me.flush_done.load(std::memory_order_relaxed))
        serve_flush_requests();
}

void raise_work(Work work) { cpu_info()->work.fetch_or(static_cast<u32>(work), std::memory_order_relaxed); }

void raise_work(CpuId cpu, Work work) {
    const u32 bit = static_cast<u32>(work);
    if (cpu == this_cpu()) return raise_work(work);
    if ((cpu_info_of(cpu)->work.fetch_or(bit, std::memory_order_seq_cst) & bit) == 0)
        send_ipi(cpu, Ipi::kick);
}

u32 take_work() {
    CpuInfo* info = cpu_info();
    if (info->work.load(std::memory_order_relaxed) == 0) return 0;
    return info->work.exchange(0, std::memory_order_acq_rel);
}

bool preempt_wanted() {
    // STI delays interrupts by one instruction (AMD APM vol. 3): the NOP is where they come in.
    asm volatile("sti; nop; cli" : : : "memory");
    return cpu_info()->work.load(std::memory_order_relaxed) != 0;
}

void kick(CpuId cpu) {
    if (cpu != this_cpu()) send_ipi(cpu, Ipi::kick);
}

}  // namespace domus::port
