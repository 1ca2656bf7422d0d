// SPDX-License-Identifier: GPL-2.0-or-later
// The lock-order check: a CPU takes locks in strictly rising rank. It is armed in the unit tests, where each
// thread is a CPU; the image with assertions only keeps its place, until the ranks of arch/ have been tried
// there.
#include "port/lock.hpp"

#ifdef DOMUS_ASSERTIONS

namespace domus::detail {

#ifdef DOMUS_HYPERVISOR

void lock_order_acquire(Rank) {}
void lock_order_release(Rank) {}

#else

namespace {
thread_local u64 held = 0;  // bit r: a lock of rank r
}

void lock_order_acquire(Rank rank) {
    static_assert(static_cast<unsigned>(Rank::leaf) < 64);
    const u64 bit = u64{1} << static_cast<unsigned>(rank);
    if (held >= bit)
        panic("lock order: taking rank {} while holding ranks {:#x}", static_cast<unsigned>(rank), held);
    held |= bit;
}

void lock_order_release(Rank rank) { held &= ~(u64{1} << static_cast<unsigned>(rank)); }

#endif

}  // namespace domus::detail

#endif
