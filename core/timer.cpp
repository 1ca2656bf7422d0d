// SPDX-License-Identifier: GPL-2.0-or-later
// The per-CPU timer queues and the hardware deadline.
#include "core/timer.hpp"

#include "core/per_cpu.hpp"

namespace domus::core {

namespace {

struct Queue {
    SpinLock lock{Rank::timer};
    TimerHeap heap;
    std::atomic<Timer*> running{nullptr};
    Nanos armed = port::kNever;  // what the hardware was last told; this CPU only
};

constinit PerCpu<Queue> queues;

// After a change to a CPU's heap: sees to it that its hardware deadline is early enough.
void rearm(CpuId cpu, Nanos when) {
    if (cpu == port::this_cpu()) {
        Queue& q = queues.of(cpu);
        if (when < q.armed) {
            q.armed = when;
            port::set_deadline(when);
        }
    } else {
        port::raise_work(cpu, port::Work::timer);
    }
}

}  // namespace

Result<> init_timers() { return attach_per_cpu(queues); }

void set_timer(Timer& t, CpuId cpu, Nanos when) {
    bool first = false;
    for (;;) {
        const CpuId old(t.cpu.load(std::memory_order_acquire));
        PairGuard guard(queues.of(old).lock, queues.of(cpu).lock);
        if (t.cpu.load(std::memory_order_relaxed) != old.v) continue;
        if (t.queued()) queues.of(old).heap.remove(t);
        t.when = when;
        t.cpu.store(cpu.v, std::memory_order_release);
        queues.of(cpu).heap.push(t);
        first = queues.of(cpu).heap.top() == &t;
        break;
    }
    if (first) rearm(cpu, when);
}

void cancel_timer(Timer& t) {
    for (;;) {
        Queue& q = queues.of(CpuId(t.cpu.load(std::memory_order_acquire)));
        LockGuard guard(q.lock);
        if (&q != &queues.of(CpuId(t.cpu.load(std::memory_order_relaxed)))) continue;
        if (t.queued()) q.heap.remove(t);
        return;
    }
}

void cancel_timer_sync(Timer& t) {
    if (!queues.attached()) return;
    bool clean = false;
    while (!clean) {  // fire() may have set it again
        cancel_timer(t);
        clean = true;
        for (u32 cpu = 0; cpu < port::cpu_count(); cpu++)
            while (queues.of(CpuId(cpu)).running.load(std::memory_order_acquire) == &t) {
                clean = false;
                port::relax();
            }
    }
}

void migrate_timer(Timer& t, CpuId cpu) {
    bool first = false;
    Nanos when = 0;
    for (;;) {
        const CpuId old(t.cpu.load(std::memory_order_acquire));
        if (old == cpu) return;
        PairGuard guard(queues.of(old).lock, queues.of(cpu).lock);
        if (t.cpu.load(std::memory_order_relaxed) != old.v) continue;
        t.cpu.store(cpu.v, std::memory_order_release);
        if (!t.queued()) return;
        queues.of(old).heap.remove(t);
        queues.of(cpu).heap.push(t);
        first = queues.of(cpu).heap.top() == &t;
        when = t.when;
        break;
    }
    if (first) rearm(cpu, when);
}

void run_timers(Nanos now) {
    Queue& q = queues.get();
    for (;;) {
        Timer* due = nullptr;
        {
            LockGuard guard(q.lock);
            due = q.heap.top();
            if (due == nullptr || due->when > now) {
                q.armed = due == nullptr ? port::kNever : due->when;
                break;
            }
            q.heap.remove(*due);
            q.running.store(due, std::memory_order_relaxed);
        }
        due->fire(*due, now);
        q.running.store(nullptr, std::memory_order_release);
    }
    port::set_deadline(q.armed);
}

}  // namespace domus::core
