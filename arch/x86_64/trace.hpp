// SPDX-License-Identifier: GPL-2.0-or-later
// Recording events in this CPU's ring (arch_state/trace.hpp): a page of the CPU's area at a fixed distance
// from its stack, so that an event costs a dozen instructions and no lock. An event of an NMI may take the
// place of the one it interrupted.
#pragma once

#include "arch/cpu_area.hpp"
#include "arch_state/cpu_info.hpp"
#include "arch_state/trace.hpp"

namespace domus::x86 {

inline TraceEntry* trace_ring(CpuId cpu) { return reinterpret_cast<TraceEntry*>(cpu_area(cpu) + kAreaTrace); }

// Only on a CPU's own stack (not on the boot stack).
[[gnu::always_inline]] inline void trace(TraceEvent event, u64 a, u64 b) {
    CpuInfo* const info = cpu_info();
    auto* const ring =
        reinterpret_cast<TraceEntry*>(reinterpret_cast<u64>(info + 1) - kStackSize + kAreaTrace);
    TraceEntry& e = ring[info->trace_count++ % kTraceEntries];
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    e.tsc = u64{high} << 32 | low;
    e.event = event;
    e.a = a;
    e.b = b;
}

// Logs a CPU's last events, newest first, at most `most`, with their age at the time `now` (TSC).
void log_trace(CpuId cpu, u32 most, u64 now);

// Debug key: the last events of all CPUs, a few of each, oldest first.
void log_all_traces(char key);

}  // namespace domus::x86
