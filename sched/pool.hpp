// SPDX-License-Identifier: GPL-2.0-or-later
// A pool: CPUs, the units that they run, and the policy by which they do. A unit runs on CPUs of its pool
// only.
#pragma once

#include "sched/queue.hpp"

namespace domus::sched {

class Policy;

struct Pool {
    const Policy* policy = nullptr;
    Params params;
    // Queue i is that of the pool's CPUs with numbers from i * cpus_per_queue on. It may have none.
    Queue* queues = nullptr;
    u32 queue_count = 0;
    u32 cpus_per_queue = 0;
    void* space = nullptr;  // Policy::pool_space() bytes
    std::atomic<u32> cpus{0};
    std::atomic<u32> units{0};

    template <class T>
    T& as() {
        return *static_cast<T*>(space);
    }
};

}  // namespace domus::sched
