// SPDX-License-Identifier: GPL-2.0-or-later
// A CPU's ring of its last events: what a crash report shows besides the moment of the crash itself.
#pragma once

#include <span>

#include "base/format.hpp"
#include "base/types.hpp"

namespace domus {

enum class TraceEvent : u32 {
    none,          // never written
    hypercall,     // a: number, b: first argument
    guest_trap,    // a: vector and, above bit 32, error code; b: instruction, of a page fault the address
    interrupt,     // a: vector, b: interrupted instruction
    switch_vcpus,  // a: the vCPU that ran, b: the next; as trace_vcpu() packs them
};

struct TraceEntry {
    u64 tsc;
    TraceEvent event;
    u32 reserved;
    u64 a, b;
};
static_assert(sizeof(TraceEntry) == 32);

inline constexpr u32 kTraceEntries = 128;  // a page
static_assert(kTraceEntries * sizeof(TraceEntry) == kPageSize);

inline constexpr u64 kTraceIdle = ~u64{0};
constexpr u64 trace_vcpu(DomId domain, VcpuId vcpu) { return u64{domain.v} << 32 | vcpu.v; }

// The entry that is `age` events old (0: the newest) in a ring where `next` counts all events written; null
// if it has been overwritten or never was.
inline const TraceEntry* trace_entry(std::span<const TraceEntry, kTraceEntries> ring, u64 next, u32 age) {
    if (age >= kTraceEntries || age >= next) return nullptr;
    return &ring[(next - 1 - age) % kTraceEntries];
}

// The last events, at most `most`, oldest first.
template <class F>
void for_last_events(std::span<const TraceEntry, kTraceEntries> ring, u64 next, u32 most, F&& f) {
    const u64 there = next < kTraceEntries ? next : u64{kTraceEntries};
    for (u64 age = most < there ? most : there; age-- > 0;)
        f(*trace_entry(ring, next, static_cast<u32>(age)));
}

// One line without its time. Returns its length.
inline usize format_trace_entry(const TraceEntry& e, std::span<char> out) {
    const auto vcpu = [](u64 packed, std::span<char> text) {
        return packed == kTraceIdle
                   ? format_to(text, "idle")
                   : format_to(text, "d{}v{}", static_cast<u32>(packed >> 32), static_cast<u32>(packed));
    };
    switch (e.event) {
        case TraceEvent::none: return 0;
        case TraceEvent::hypercall: return format_to(out, "hypercall {} ({:#x}, ...)", e.a, e.b);
        case TraceEvent::guest_trap:
            return format_to(out, "guest exception {}, error code {:x}, at {:x}", static_cast<u32>(e.a),
                             e.a >> 32, e.b);
        case TraceEvent::interrupt: return format_to(out, "interrupt {:#x} at {:x}", e.a, e.b);
        case TraceEvent::switch_vcpus: {
            char from[24], to[24];
            const usize n = vcpu(e.a, from), m = vcpu(e.b, to);
            return format_to(out, "switch from {} to {}", std::string_view(from, n), std::string_view(to, m));
        }
    }
    return format_to(out, "event {} ({:x}, {:x})", static_cast<u32>(e.event), e.a, e.b);
}

}  // namespace domus
