// SPDX-License-Identifier: GPL-2.0-or-later
// Trace buffers (public trace.h): what happens on each CPU, as records in memory that xentrace maps and
// empties.
//
// Each CPU writes its own buffer, with interrupts off and without a lock; the reader moves the consumer's
// mark, which is believed only where it makes sense. While nothing is traced a place that could be costs one
// load.
#pragma once

#include <atomic>
#include <span>
#include <type_traits>

#include "abi/trace.hpp"
#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::core {

namespace trace_parts {
extern constinit std::atomic<u32> traced_events;  // as TRC_*: classes and subclasses; 0 while nothing is
void record(u32 event, std::span<const u32> words);
}  // namespace trace_parts

// Is an event, TRC_* with its class and subclass, of those that are recorded?
inline bool tracing(u32 event) {
    const u32 both = trace_parts::traced_events.load(std::memory_order_relaxed) & event;
    return (both & 0x0fff0000) != 0 && (both & 0xf000) != 0;
}

// Records an event with the time and its words, at most seven; 64-bit values are two, the lower first.
template <class... Words>
void trace(u32 event, Words... words) {
    constexpr usize kCount = (0 + ... + (sizeof(Words) == 8 ? 2 : 1));
    static_assert(kCount <= TRACE_EXTRA_MAX &&
                  ((std::is_same_v<Words, u32> || std::is_same_v<Words, u64>) && ...));
    if (!tracing(event)) [[likely]]
        return;
    u32 list[kCount + 1];  // one more, so that there is one
    u32 n = 0;
    const auto put = [&](auto word) {
        list[n++] = static_cast<u32>(word);
        if constexpr (sizeof word == 8) list[n++] = static_cast<u32>(word >> 32);
    };
    (put(words), ...);
    trace_parts::record(event, {list, n});
}

// On a CPU's way out: tells the reader (VIRQ_TBUF) if the CPU's buffer has become half full.
void tell_trace_reader();

// What XEN_SYSCTL_tbuf_op sets and asks. Callers take turns (hypercall/sysctl_trace.cpp).

// Gives every CPU a buffer of so many pages, or of as many as t_info can name, if that is less. EINVAL: none,
// or there are buffers of another size. ENOMEM. RESTART: call again.
Result<> make_trace_buffers(u32 pages);
// EINVAL: there are no buffers.
Result<> start_tracing();
void stop_tracing();
void set_trace_events(u32 mask);
u32 trace_event_mask();
// Bit n of the words is CPU n. CPUs beyond them are not traced. ENOMEM.
Result<> set_traced_cpus(std::span<const u64> cpus);
// struct t_info's first frame and its size in bytes; 0 and 0 if there are no buffers.
struct TraceInfo {
    u64 frame = 0;
    u32 size = 0;
};
TraceInfo trace_info();

// For tests: as if there had never been a buffer.
void forget_trace_buffers();

}  // namespace domus::core
