// SPDX-License-Identifier: GPL-2.0-or-later
// Locks own their data: Guarded<T> gives access to T only through a guard. A lock is declared with its rank;
// the unit tests check that a CPU takes locks in strictly rising rank.
#pragma once

#include <atomic>
#include <utility>

#include "base/assert.hpp"
#include "port/cpu.hpp"

namespace domus {

// The order in which one CPU may hold locks: from first taken to last. Add a rank where a new lock belongs.
enum class Rank : u8 {
    domain_list,
    domain_control,  // a domain's life cycle and toolstack operations
    domain_memory,   // its page lists and limits
    grant_table,
    grant_maptrack,  // growth of a domain's table of mapped grants
    pv_page_tables,
    event_channels,
    event_channel,  // one port
    pirq,
    ranges,      // a domain's I/O permissions
    vcpu_state,  // why a vCPU runs or not
    cpupools,    // pools of CPUs, and where vCPUs may run
    scheduler,
    vcpu_time,  // a vCPU's timers
    timer,
    irq,
    page_list,  // the list of a domain's pages, and its limit
    objects,    // small-object allocator
    heap,
    device,
    console,
    write_log,  // the mirror of a logged domain's page tables: a page fault takes it
    leaf,       // held for a few instructions, nothing taken inside
};

namespace detail {
#ifdef DOMUS_ASSERTIONS
void lock_order_acquire(Rank rank);
void lock_order_release(Rank rank);
#else
inline void lock_order_acquire(Rank) {}
inline void lock_order_release(Rank) {}
#endif
}  // namespace detail

// A fair (ticket) spin lock. Not recursive.
class SpinLock {
  public:
    constexpr explicit SpinLock(Rank rank) : rank_(rank) {}
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

    void lock() {
        detail::lock_order_acquire(rank_);
        lock_unranked();
    }
    void unlock() {
        unlock_unranked();
        detail::lock_order_release(rank_);
    }

  private:
    friend class PairGuard;
    void lock_unranked() {
        const u32 mine = next_.fetch_add(1, std::memory_order_relaxed);
        while (serving_.load(std::memory_order_acquire) != mine) port::relax();
    }
    void unlock_unranked() {
        serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

    std::atomic<u32> next_{0}, serving_{0};
    Rank rank_;
};

class [[nodiscard]] LockGuard {
  public:
    explicit LockGuard(SpinLock& lock) : lock_(&lock) { lock.lock(); }
    LockGuard(LockGuard&& o) noexcept : lock_(std::exchange(o.lock_, nullptr)) {}
    LockGuard(const LockGuard&) = delete;
    LockGuard& operator=(const LockGuard&) = delete;
    LockGuard& operator=(LockGuard&&) = delete;
    ~LockGuard() {
        if (lock_ != nullptr) lock_->unlock();
    }

  private:
    SpinLock* lock_;
};

// Holds two locks of one rank, taken in the order of their addresses; the two may be the same lock. For a
// change that must be one step for both ends of a pair (an interdomain event channel).
class [[nodiscard]] PairGuard {
  public:
    PairGuard(SpinLock& a, SpinLock& b) : first_(&a < &b ? a : b), second_(&a < &b ? b : a) {
        ASSERT(a.rank_ == b.rank_);
        detail::lock_order_acquire(first_.rank_);
        first_.lock_unranked();
        if (&first_ != &second_) second_.lock_unranked();
    }
    PairGuard(const PairGuard&) = delete;
    PairGuard& operator=(const PairGuard&) = delete;
    ~PairGuard() {
        if (&first_ != &second_) second_.unlock_unranked();
        first_.unlock_unranked();
        detail::lock_order_release(first_.rank_);
    }

  private:
    SpinLock& first_;
    SpinLock& second_;
};

template <class T, Rank R>
class Guarded {
  public:
    template <class... Args>
    constexpr explicit Guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}

    class [[nodiscard]] Access {
      public:
        explicit Access(Guarded& g) : guard_(g.lock_), value_(&g.value_) {}
        T* operator->() const { return value_; }
        T& operator*() const { return *value_; }

      private:
        LockGuard guard_;
        T* value_;
    };
    Access lock() { return Access(*this); }

  private:
    SpinLock lock_{R};
    T value_;
};

}  // namespace domus
