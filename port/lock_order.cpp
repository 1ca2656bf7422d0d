// SPDX-License-Identifier: GPL-2.0-or-later
// The lock-order check of debug builds: a CPU takes locks in strictly rising rank.
#include "port/lock.hpp"
#include "port/percpu.hpp"

#ifdef DOMUS_ASSERTIONS

namespace domus {

namespace {
PerCpu<u32> held_ranks;  // bit r: this CPU holds a lock of rank r
}

void attach_lock_order(u32* per_cpu_words) { held_ranks.attach(per_cpu_words); }

namespace detail {

void lock_order_acquire(Rank rank) {
    if (!held_ranks.attached()) return;
    u32& held = held_ranks.get();
    const u32 bit = u32{1} << static_cast<u32>(rank);
    if (held >= bit)
        panic("lock order: taking rank {} while holding ranks {:#x}", static_cast<u32>(rank), held);
    held |= bit;
}

void lock_order_release(Rank rank) {
    if (!held_ranks.attached()) return;
    held_ranks.get() &= ~(u32{1} << static_cast<u32>(rank));
}

}  // namespace detail
}  // namespace domus

#endif
