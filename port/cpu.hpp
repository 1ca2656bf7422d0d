// SPDX-License-Identifier: GPL-2.0-or-later
// What the core asks of the processors.
//
// The hypervisor runs with interrupts off from entry to exit. Interrupts are taken in a guest, in the idle
// wait, and at the explicit windows of preempt_wanted(). Code between two such points therefore never sees
// itself interrupted (NMI and machine check excepted), and needs no interrupt-safe class of locks. In
// exchange every loop that waits for another CPU must call relax(), which serves that CPU's requests (TLB
// flushes) meanwhile, so that two CPUs waiting for each other get on.
#pragma once

#include <port_inline/cpu.hpp>  // CpuId this_cpu()

#include "base/types.hpp"

namespace domus::port {

// CPUs that have been started; ids are dense in [0, cpu_count()). Constant once boot has ended.
u32 cpu_count();

// One step of a wait: a pause, and service to other CPUs' pending requests.
void relax();

// Work that a CPU does on its way out to a guest, or in its idle loop. Bits in a per-CPU word.
enum class Work : u32 {
    timer = 1u << 0,     // the timer queue's head is due
    schedule = 1u << 1,  // choose a vCPU anew
    quiesce = 1u << 2,   // report a quiescent state (core/quiesce)
    console = 1u << 3,   // the log has grown
    nmi = 1u << 4,       // NMIs have come: port::take_nmis()
};

// Marks work on a CPU; a CPU other than this one is interrupted so that it notices soon. Any context.
void raise_work(CpuId cpu, Work work);
void raise_work(Work work);  // on this CPU

// Takes and clears this CPU's pending work bits.
u32 take_work();

// For long operations: true when this CPU has work pending and the caller should return a continuation. Opens
// a brief interrupt window, so call it only where no lock is held.
bool preempt_wanted();

// Makes the CPU leave guest mode (if it is there) so that it looks at its current vCPU's pending events.
// No-op for this CPU.
void kick(CpuId cpu);

// Writes back and invalidates the caches: of this CPU, or of every CPU (and waits for them).
void flush_caches();
void flush_caches_everywhere();
// Writes back and drops the cache lines of [from, from+size), in memory of every CPU's.
void flush_cache_lines(const void* from, usize size);

}  // namespace domus::port
