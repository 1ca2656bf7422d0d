// SPDX-License-Identifier: GPL-2.0-or-later
// port/tlb.hpp. A CPU that runs a vCPU of the domain is asked to flush and waited for; every other CPU has
// dropped the domain's translations when it loaded another address space, for guest translations are never
// global.
//
// The order that makes this safe: a CPU publishes its domain before it loads the domain's root, so either the
// sender sees it and asks, or the load, and with it the flush, comes after the sender's change to the page
// tables.
#include "port/tlb.hpp"
#include "arch/cpu.hpp"
#include "arch/insn.hpp"
#include "mm/tlb_stamp.hpp"
#include "port/cpu.hpp"

namespace domus::x86 {

namespace {

// 64 bits never wrap around; frames keep the lower half (mm/tlb_stamp.hpp).
constinit std::atomic<u64> flush_clock{1};
constexpr u32 kNoDomain = 0xffff;

void flush_now(bool global) {
    // The tick comes first: what is stamped after it counts as not yet flushed.
    const u64 tick = flush_clock.fetch_add(1, std::memory_order_seq_cst) + 1;
    if (global) {
        const u64 cr4 = read_cr4();
        write_cr4(cr4 ^ kCr4Pge);  // changing PGE flushes global translations (AMD APM vol. 2, 5.5.2)
        write_cr4(cr4);
    } else {
        write_cr3(read_cr3());
    }
    cpu_state(port::this_cpu()).flushed_at.store(tick, std::memory_order_release);
}

}  // namespace

// Loading CR3 flushes as well. What is stamped before the clock is read is flushed; a load that does not move
// the clock on leaves the shared line alone, and counts for stamps that others' ticks have left behind.
void load_guest_root(u64 cr3, Tick tick) {
    const u64 now = tick == Tick::yes ? flush_clock.fetch_add(1, std::memory_order_seq_cst) + 1
                                      : flush_clock.load(std::memory_order_seq_cst);
    write_cr3(cr3);
    cpu_state(port::this_cpu()).flushed_at.store(now, std::memory_order_release);
}

namespace {

template <class Wanted>
void flush_others(bool global, Wanted wanted) {
    const CpuId self = port::this_cpu();
    bool asked = false;
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu) {
        CpuState& state = cpu_state(cpu);
        if (cpu == self || !wanted(state)) continue;
        if (global) state.flush_global.store(1, std::memory_order_relaxed);
        state.flush_requested.fetch_add(1, std::memory_order_seq_cst);
        send_ipi(cpu, Ipi::flush);
        asked = true;
    }
    if (!asked) return;
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu) {
        const CpuState& state = cpu_state(cpu);
        if (cpu == self) continue;
        const u32 target = state.flush_requested.load(std::memory_order_relaxed);
        while (static_cast<s32>(state.flush_done.load(std::memory_order_acquire) - target) < 0 &&
               state.halted.load(std::memory_order_relaxed) == 0)
            port::relax();
    }
}

bool flushed_since(const CpuState& state, u32 stamp) {
    const u64 flushed_at = state.flushed_at.load(std::memory_order_acquire);
    return flushed_after(flushed_at, flush_clock.load(std::memory_order_seq_cst), stamp);
}

}  // namespace

void serve_flush_requests() {
    CpuState& me = cpu_state(port::this_cpu());
    const u32 target = me.flush_requested.load(std::memory_order_acquire);
    if (target == me.flush_done.load(std::memory_order_relaxed)) return;
    if (me.flush_caches.exchange(0, std::memory_order_relaxed) != 0) wbinvd();
    flush_now(me.flush_global.exchange(0, std::memory_order_relaxed) != 0);
    me.flush_done.store(target, std::memory_order_release);
}

}  // namespace domus::x86

namespace domus::port {

using namespace x86;

u32 tlb_clock() { return static_cast<u32>(flush_clock.load(std::memory_order_seq_cst)); }

void flush_local() { flush_now(false); }
void flush_local_page(Vaddr va) { invlpg(va.v); }

void flush_domain(DomId domain) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (cpu_state(this_cpu()).domain.load(std::memory_order_relaxed) == domain.v) flush_now(false);
    flush_others(false,
                 [&](const CpuState& s) { return s.domain.load(std::memory_order_seq_cst) == domain.v; });
}

void flush_since(u32 stamp) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!flushed_since(cpu_state(this_cpu()), stamp)) flush_now(false);
    flush_others(false, [&](const CpuState& s) {
        return s.domain.load(std::memory_order_seq_cst) != kNoDomain && !flushed_since(s, stamp);
    });
}

void flush_domain_page(DomId domain, Vaddr va) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (cpu_state(this_cpu()).domain.load(std::memory_order_relaxed) == domain.v) invlpg(va.v);
    flush_others(false,
                 [&](const CpuState& s) { return s.domain.load(std::memory_order_seq_cst) == domain.v; });
}

void flush_everything() {
    flush_now(true);
    flush_others(true, [](const CpuState&) { return true; });
}

void flush_caches() { wbinvd(); }

// Every 64-bit CPU has CLFLUSH and lines of 64 bytes or, harmlessly, more. Ordered by the fences (AMD APM
// vol. 3).
void flush_cache_lines(const void* from, usize size) {
    constexpr u64 kLine = 64;
    const auto begin = reinterpret_cast<u64>(from);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (u64 at = round_down(begin, kLine); at < begin + size; at += kLine)
        clflush(reinterpret_cast<const void*>(at));
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

void flush_caches_everywhere() {
    for (CpuId cpu{0}; cpu.v < cpu_count(); ++cpu)
        cpu_state(cpu).flush_caches.store(1, std::memory_order_relaxed);
    cpu_state(this_cpu()).flush_caches.store(0, std::memory_order_relaxed);
    wbinvd();
    flush_others(false, [](const CpuState&) { return true; });
}

}  // namespace domus::port
