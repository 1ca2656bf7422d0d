// SPDX-License-Identifier: GPL-2.0-or-later
// A run queue and the CPUs that it feeds.
#pragma once

#include <atomic>
#include <bit>

#include "base/heap.hpp"
#include "port/lock.hpp"
#include "port/time.hpp"
#include "sched/unit.hpp"

namespace domus::sched {

inline constexpr u32 kMaxCpusPerQueue = 64;  // so that sets of a queue's CPUs are one word

// What an administrator may change while the machine runs.
struct Params {
    Nanos ratelimit = kMillisecond;  // nobody is preempted sooner; 0: no limit (sched_ratelimit_us=)
};

struct Pool;
struct Queue;

// Under the lock of its queue; `current` may be read by the CPU itself at any time. `queue` changes under the
// lock of the queue that it leaves, while the CPU is idle and not online there.
struct alignas(64) Cpu {
    CpuId id{};
    std::atomic<Queue*> queue{nullptr};
    Unit* current = nullptr;        // null: idle
    Nanos since = 0;                // when `current` (or idleness) began
    Nanos deadline = port::kNever;  // what the policy asked for last
    Nanos idle_time = 0;            // ns, before `since`
    u64 idle_entries = 0;           // how often it has become idle

    u64 bit() const;  // in its queue's words
    PolicySpace<16> policy;
};

struct SmallestKey {
    bool operator()(const Unit& a, const Unit& b) const { return static_cast<s64>(a.key - b.key) < 0; }
};

struct EarliestRelease {
    bool operator()(const Unit& a, const Unit& b) const { return a.release < b.release; }
};

struct alignas(64) Queue {
    SpinLock lock{Rank::scheduler};
    u32 index = 0;
    u32 first_cpu = 0;
    u32 cpu_count = 0;    // numbers that it may serve
    Cpu* cpus = nullptr;  // cpu_count of them, those that are not online belonging to somebody else
    Pool* pool = nullptr;
    const Params* params = nullptr;

    // One bit for each of its CPUs. `online`, `idle` and `waiting_count` are read by CPUs of other queues.
    std::atomic<u64> online{0};
    u64 useful = ~u64{0};  // those that the policy makes use of
    std::atomic<u64> idle{0};
    u64 tickled = 0;  // told to look for work, and have not yet
    std::atomic<u32> waiting_count{0};
    u32 units = 0;       // attached
    Nanos balanced = 0;  // when it last gave a unit away for the sake of fairness

    Heap<Unit, &Unit::node, SmallestKey{}> waiting;
    Heap<Unit, &Unit::node, EarliestRelease{}> parked;
    // The CPU that looks when the first of the parked units is released, and when that is.
    u32 watcher = ~0u;
    Nanos watched = port::kNever;
    PolicySpace<96> policy;

    // Units that want a CPU. Without the lock, a guess.
    u32 load() const {
        return waiting_count.load(std::memory_order_relaxed) +
               static_cast<u32>(std::popcount(members() & ~idle.load(std::memory_order_relaxed)));
    }
    u64 members() const { return online.load(std::memory_order_relaxed); }
    u32 size() const { return static_cast<u32>(std::popcount(members())); }
    u64 allowed(const Unit& u) const { return u.hard.window(first_cpu) & members() & useful; }

    void put(Unit& u) {
        if (u.parked) return parked.push(u);
        waiting.push(u);
        waiting_count.store(waiting_count.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
    }
    void take(Unit& u) {
        if (u.parked) {
            parked.remove(u);
            u.parked = false;
            return;
        }
        waiting.remove(u);
        waiting_count.store(waiting_count.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    }
    // The first in order that may run on `cpu`, or null.
    Unit* first_for(const Cpu& cpu) const {
        Unit* top = waiting.top();
        if (top == nullptr || top->hard.test(cpu.id)) [[likely]]
            return top;
        return waiting.first_of([&](const Unit& u) { return u.hard.test(cpu.id); });
    }
};

// Of no meaning for a CPU that is not online in its queue.
inline u64 Cpu::bit() const {
    return u64{1} << ((id.v - queue.load(std::memory_order_relaxed)->first_cpu) % 64);
}

}  // namespace domus::sched
