// SPDX-License-Identifier: GPL-2.0-or-later
// Sharing out a cap's time among a domain's units.
#include "sched/group.hpp"

#include <algorithm>

namespace domus::sched {

namespace {
constexpr Nanos kLeastPart = kMillisecond / 2;
}

void Group::set_cap(u32 percent, Nanos now) {
    LockGuard guard(lock_);
    __atomic_store_n(&since_, now, __ATOMIC_RELAXED);
    __atomic_store_n(&cap_, percent, __ATOMIC_RELAXED);
    pot_ = quota();
    next_ = now + kPeriod;
}

// What is left over is lost, what is owed is not.
void Group::refill(Nanos now) {
    if (now < next_) return;
    const Nanos periods = (now - next_) / kPeriod + 1;
    next_ += periods * kPeriod;
    // A debt of many periods is no more than a clock that jumped.
    const Nanos debt = std::max(pot_, -100 * kPeriod);
    pot_ = std::min(quota(), debt + std::min<Nanos>(periods, 100) * quota());
}

Nanos Group::take(Nanos left, Nanos limit, Nanos now, Nanos& release) {
    LockGuard guard(lock_);
    if (cap_ == 0) return limit;
    refill(now);
    // Only a part, as others of the domain may want to run at the same time.
    const Nanos members = std::max<Nanos>(__atomic_load_n(&members_, __ATOMIC_RELAXED), 1);
    const Nanos part = std::min({std::max(pot_ / members, kLeastPart), limit - left, pot_});
    if (part > 0) {
        pot_ -= part;
        left += part;
    }
    release = next_;
    return left;
}

void Group::give(Nanos amount) {
    LockGuard guard(lock_);
    pot_ = std::min(quota(), pot_ + amount);
}

}  // namespace domus::sched
