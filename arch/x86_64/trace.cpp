// SPDX-License-Identifier: GPL-2.0-or-later
// Showing the CPUs' rings of events: the newest first in a report that may be cut short, else the oldest.
#include "arch/trace.hpp"

#include "arch/cpu.hpp"
#include "arch/insn.hpp"
#include "base/log.hpp"
#include "port/cpu.hpp"
#include "port/io.hpp"
#include "port/time.hpp"

namespace domus::x86 {

namespace {

std::span<const TraceEntry, kTraceEntries> ring_of(CpuId cpu) {
    return std::span<const TraceEntry, kTraceEntries>(trace_ring(cpu), kTraceEntries);
}

// The CPU goes on recording meanwhile, unless it has been stopped: an entry that changes under the reader
// shows something odd and nothing worse.
void log_entry(const TraceEntry& e, u64 now) {
    port::relax();  // a slow console must not keep others waiting for this CPU
    char text[128];
    const std::string_view line(text, format_trace_entry(e, text));
    const u64 khz = port::tsc_khz(), ticks = now > e.tsc ? now - e.tsc : 0;
    const u64 ns = khz == 0 ? 0 : ticks / khz * 1'000'000 + ticks % khz * 1'000'000 / khz;
    log(Level::error, "  {:8}.{:03} us ago  {}", ns / 1000, ns % 1000, line);
}

}  // namespace

void log_trace(CpuId cpu, u32 most, u64 now) {
    const u64 count = cpu_info_of(cpu)->trace_count;
    for (u32 age = 0; age < most; age++) {
        const TraceEntry* const e = trace_entry(ring_of(cpu), count, age);
        if (e == nullptr) break;
        log_entry(*e, now);
    }
}

void log_all_traces(char) {
    // Each line keeps this CPU from its guests for as long as a serial line takes.
    constexpr u32 kMost = 24;
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu) {
        log(Level::error, "Last events on CPU {}, oldest first:", cpu);
        const u64 now = port::read_tsc();
        for_last_events(ring_of(cpu), cpu_info_of(cpu)->trace_count, kMost,
                        [now](const TraceEntry& e) { log_entry(e, now); });
    }
}

}  // namespace domus::x86
