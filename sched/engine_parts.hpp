// SPDX-License-Identifier: GPL-2.0-or-later
// What the engine's source files share.
#pragma once

#include "sched/engine.hpp"

namespace domus::sched {

inline constexpr u32 kNone = ~0u;

inline void tell(u32 cpu) {
    if (cpu != kNone) port::raise_work(CpuId(cpu), port::Work::schedule);
}

// The CPUs to tell that they should look again.
struct Engine::Targets {
    u32 first = kNone, second = kNone;

    void tell() const {
        sched::tell(first);
        sched::tell(second);
    }
};

// The lock of a unit's queue, which may change until it is held.
class Engine::Locked {
  public:
    explicit Locked(const Unit& u) { lock(u); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() { queue_->lock.unlock(); }

    Queue& queue() const { return *queue_; }
    const Policy& policy() const { return *queue_->pool->policy; }
    void relock(const Unit& u) {
        queue_->lock.unlock();
        lock(u);
    }

  private:
    void lock(const Unit& u) {
        for (;;) {
            queue_ = u.queue.load(std::memory_order_acquire);
            queue_->lock.lock();
            // It may have gone and come back meanwhile: what was done to it elsewhere must be seen.
            if (u.queue.load(std::memory_order_acquire) == queue_) [[likely]]
                return;
            queue_->lock.unlock();
        }
    }

    Queue* queue_ = nullptr;
};

}  // namespace domus::sched
