// SPDX-License-Identifier: GPL-2.0-or-later
// What the units of a domain have in common: who they are to a schedule made by name, and the CPU time that a
// cap allows them together.
#pragma once

#include <array>

#include "port/lock.hpp"

namespace domus::sched {

class Group {
  public:
    static constexpr Nanos kPeriod = 10 * kMillisecond;  // a cap holds over this time

    // The domain's UUID, by which an arinc653 schedule names it. Set before it has units.
    std::array<u8, 16> handle{};

    // Per cent of one CPU; 0: no cap.
    void set_cap(u32 percent, Nanos now);
    bool capped() const { return __atomic_load_n(&cap_, __ATOMIC_RELAXED) != 0; }

    // What counts of the last `ran` ns up to now: nothing before there was a cap.
    Nanos counts(Nanos ran, Nanos now) const {
        const Nanos since = __atomic_load_n(&since_, __ATOMIC_RELAXED);
        return now - since < ran ? now - since : ran;
    }

    // Takes time for a unit that has `left` of what it took before (less than 0: it was late). The new
    // amount, at most `limit`; where it is not above 0 there is none before `release`.
    Nanos take(Nanos left, Nanos limit, Nanos now, Nanos& release);
    // Gives unused time back.
    void give(Nanos amount);

    void join() { __atomic_fetch_add(&members_, 1u, __ATOMIC_RELAXED); }
    void leave() { __atomic_fetch_sub(&members_, 1u, __ATOMIC_RELAXED); }

  private:
    void refill(Nanos now);
    Nanos quota() const { return kPeriod / 100 * cap_; }

    SpinLock lock_{Rank::leaf};
    u32 cap_ = 0;
    u32 members_ = 0;
    Nanos since_ = 0;  // when the cap was set
    Nanos pot_ = 0;    // ns that may still be taken before `next_`
    Nanos next_ = 0;   // when the pot is filled again
};

}  // namespace domus::sched
