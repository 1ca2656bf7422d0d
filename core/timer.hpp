// SPDX-License-Identifier: GPL-2.0-or-later
// Timers: a heap for each CPU, no ticks. Setting and cancelling never allocate and never fail; both are
// O(log n).
#pragma once

#include <atomic>

#include "base/heap.hpp"
#include "base/result.hpp"
#include "base/types.hpp"
#include "port/lock.hpp"
#include "port/time.hpp"

namespace domus::core {

struct Timer {
    // Called on the timer's CPU with no lock held, at or after `when`; may set the timer again.
    void (*fire)(Timer& timer, Nanos now) = nullptr;
    void* arg = nullptr;

    // Of the timer service, under the lock of the queue of `cpu`.
    Nanos when = 0;  // while queued: system time, ns
    HeapNode node;
    std::atomic<u32> cpu{0};

    bool queued() const { return node.linked(); }

    Timer() = default;
    Timer(void (*f)(Timer&, Nanos), void* a) : fire(f), arg(a) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
};

struct Sooner {
    bool operator()(const Timer& a, const Timer& b) const { return a.when < b.when; }
};
using TimerHeap = Heap<Timer, &Timer::node, Sooner{}>;

// Sets up the per-CPU queues; called once, when port::cpu_count() is final. ENOMEM.
Result<> init_timers();

// Arms the timer for system time `when` on a CPU; moves it if it was armed. A time that has passed fires on
// that CPU's next exit path. Any CPU may call it; calls for one timer are serialised by its owner.
void set_timer(Timer& t, CpuId cpu, Nanos when);

// Disarms. On return from cancel_timer() the timer is not queued but may be running elsewhere;
// cancel_timer_sync() waits until it is not, and must not be called from its own fire().
void cancel_timer(Timer& t);
void cancel_timer_sync(Timer& t);

// Moves an armed timer to another CPU; nothing if it is not armed.
void migrate_timer(Timer& t, CpuId cpu);

// Runs this CPU's timers due at `now` and arms the hardware for the next one.
void run_timers(Nanos now);

}  // namespace domus::core
