// SPDX-License-Identifier: GPL-2.0-or-later
// What a CPU does between two stays in guests: the upcalls of port/context.hpp.
#include "core/evtchn.hpp"
#include "core/nmi.hpp"
#include "core/quiesce.hpp"
#include "core/scheduler.hpp"
#include "core/timer.hpp"
#include "core/trace.hpp"
#include "port/context.hpp"
#include "port/cpu.hpp"

namespace domus::upcall {

void run_work(u32 work, Nanos now) {
    const auto has = [work](port::Work w) { return (work & static_cast<u32>(w)) != 0; };
    if (has(port::Work::nmi)) [[unlikely]]
        core::report_nmis();
    if (has(port::Work::timer)) core::run_timers(now);
    if (has(port::Work::schedule)) core::reschedule(now);
    if (has(port::Work::console)) core::send_global_virq(VIRQ_CON_RING);
    if (core::tracing(TRC_ALL)) [[unlikely]]
        core::tell_trace_reader();
    // Last: no reference from before is used any more.
    if (has(port::Work::quiesce)) core::quiescent_state();
}

}  // namespace domus::upcall
