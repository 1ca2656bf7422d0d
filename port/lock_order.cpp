// SPDX-License-Identifier: GPL-2.0-or-later
// The lock-order check: a CPU takes locks in strictly rising rank. In host builds each thread is a CPU; in
// the image the ranks that a CPU holds stand at the top of its stack.
#include "port/lock.hpp"

#ifdef DOMUS_ASSERTIONS

#ifdef DOMUS_HYPERVISOR
#include "arch_state/cpu_info.hpp"
#endif

namespace domus::detail {

namespace {

static_assert(static_cast<unsigned>(Rank::leaf) < 64);
constexpr u64 bit_of(Rank rank) { return u64{1} << static_cast<unsigned>(rank); }

#ifdef DOMUS_HYPERVISOR
u64& held() { return cpu_info()->lock_ranks; }
#else
thread_local u64 held_here = 0;
u64& held() { return held_here; }
#endif

// The report of a breach takes locks itself.
constinit std::atomic<bool> off{false};

}  // namespace

void lock_order_acquire(Rank rank) {
    u64& ranks = held();
    if (ranks >= bit_of(rank) && !off.exchange(true))
        panic("lock order: taking rank {} while holding ranks {:#x}", static_cast<unsigned>(rank), ranks);
    ranks |= bit_of(rank);
}

void lock_order_release(Rank rank) { held() &= ~bit_of(rank); }

}  // namespace domus::detail

#endif
