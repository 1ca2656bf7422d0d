// SPDX-License-Identifier: GPL-2.0-or-later
// Counting the quiescent states of all CPUs, and freeing what has waited long enough.
#include "core/quiesce.hpp"

#include "core/per_cpu.hpp"
#include "port/lock.hpp"

namespace domus::core {

namespace {

// A deferred item carries the epoch it was deferred in; a CPU's `seen` is the newest epoch it has passed a
// quiescent state in. Items wait in one queue in rising epochs.
struct Seen {
    alignas(64) std::atomic<u64> epoch{0};
};
struct Waiting {
    Deferred* first = nullptr;
    Deferred* last = nullptr;
    u64 epoch = 0;
};

constinit PerCpu<Seen> seen;
constinit Guarded<Waiting, Rank::leaf> waiting;
constinit std::atomic<u64> newest{0};

}  // namespace

Result<> init_quiesce() { return attach_per_cpu(seen); }

void defer(Deferred& d, void (*run)(void* arg), void* arg) {
    d.next = nullptr;
    d.run = run;
    d.arg = arg;
    {
        auto w = waiting.lock();
        d.epoch = ++w->epoch;
        if (w->last != nullptr)
            w->last->next = &d;
        else
            w->first = &d;
        w->last = &d;
        newest.store(w->epoch, std::memory_order_release);
    }
    for (u32 cpu = 0; cpu < port::cpu_count(); cpu++) port::raise_work(CpuId(cpu), port::Work::quiesce);
}

void quiescent_state() {
    seen.get().epoch.store(newest.load(std::memory_order_acquire), std::memory_order_seq_cst);
    u64 passed = ~u64{0};
    for (u32 cpu = 0; cpu < port::cpu_count(); cpu++) {
        const u64 e = seen.of(CpuId(cpu)).epoch.load(std::memory_order_seq_cst);
        passed = e < passed ? e : passed;
    }
    for (;;) {
        Deferred* due = nullptr;
        {
            auto w = waiting.lock();
            due = w->first;
            if (due == nullptr || due->epoch > passed) return;
            w->first = due->next;
            if (w->first == nullptr) w->last = nullptr;
        }
        due->run(due->arg);
    }
}

}  // namespace domus::core
