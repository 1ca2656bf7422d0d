// SPDX-License-Identifier: GPL-2.0-or-later
// Showing the CPUs' rings of events, oldest first.
#include "arch/trace.hpp"

#include "arch/cpu.hpp"
#include "arch/insn.hpp"
#include "base/log.hpp"
#include "port/cpu.hpp"
#include "port/io.hpp"
#include "port/time.hpp"

namespace domus::x86 {

// The CPU goes on recording meanwhile, unless it has been stopped: an entry that changes under the reader
// shows something odd and nothing worse.
void log_trace(CpuId cpu, u32 most, u64 now) {
    const std::span<const TraceEntry, kTraceEntries> ring(trace_ring(cpu), kTraceEntries);
    const u64 count = cpu_info_of(cpu)->trace_count;
    const u64 khz = port::tsc_khz();
    for (u32 age = 0; age < most; age++) {
        const TraceEntry* const e = trace_entry(ring, count, age);
        if (e == nullptr) break;
        port::relax();  // a slow console must not keep others waiting for this CPU
        char text[128];
        const std::string_view line(text, format_trace_entry(*e, text));
        const u64 ticks = now > e->tsc ? now - e->tsc : 0;
        const u64 ns = khz == 0 ? 0 : ticks / khz * 1'000'000 + ticks % khz * 1'000'000 / khz;
        log(Level::error, "  {:8}.{:03} us ago  {}", ns / 1000, ns % 1000, line);
    }
}

void log_all_traces(char) {
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu) {
        log(Level::error, "Last events on CPU {}:", cpu);
        log_trace(cpu, kTraceEntries, port::read_tsc());
    }
}

}  // namespace domus::x86
