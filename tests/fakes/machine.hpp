// SPDX-License-Identifier: GPL-2.0-or-later
// The machine that host builds run on: sparse RAM, a clock the test sets, and records of what the core asked
// of the hardware.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "base/types.hpp"
#include "port/time.hpp"

namespace domus::fakes {

struct Machine {
    // A machine with this much RAM from address 0 and this many CPUs. Frame table and M2P cover it. One
    // exists at a time.
    explicit Machine(u64 ram_bytes = 64 * kMiB, u32 cpus = 2);
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    void set_cpu(CpuId cpu);  // which CPU the calling thread is

    // What happened, for tests to look at.
    Nanos now = 0;
    port::WallClock wall_clock{};
    port::ClockScale clock_scale{.base_tsc = 0, .base_ns = 0, .mul = 1u << 31, .shift = 1};
    bool tsc_stable = true;
    std::vector<Nanos> deadline;         // per CPU
    std::vector<std::atomic<u32>> work;  // per CPU, port::Work bits
    std::vector<u32> kicks;              // per CPU
    u32 tlb_clock = 1;
    std::function<void()> on_tlb_clock;  // called whenever somebody reads it
    u64 domain_flushes = 0, page_flushes = 0, full_flushes = 0;
    u64 cache_flushes = 0;
    u64 cache_lines_flushed = 0;  // in bytes
    std::vector<Mfn> m2p_blocks;  // what m2p_block() answers
    Mfn root = kNoMfn;            // what load_address_space() was last called with
    u64 root_loads = 0;
    bool preempt = false;         // what preempt_wanted() answers
    u64 preempt_after = ~u64{0};  // or: true after this many questions

    // "Guest virtual memory": addresses in [guest_base, guest_base + guest_size) are backed by this buffer.
    static constexpr u64 guest_base = 0x10000;
    std::vector<u8> guest = std::vector<u8>(1 << 20);

    u64 ram_bytes;
    u32 cpus;
};

extern Machine* machine;

}  // namespace domus::fakes
