// SPDX-License-Identifier: GPL-2.0-or-later
// Between counter ticks and nanoseconds.
#pragma once

#include "base/types.hpp"
#include "port/time.hpp"

namespace domus::x86 {

// a * b / c by way of 128 bits, rounded down; all ones if that does not fit or c is 0. Not quick: for set-up.
// (A plain division of 128-bit numbers would need the compiler's library.)
u64 mul_div(u64 a, u64 b, u64 c);

// The scale of a counter of this frequency; base values are zero. hz: 1 kHz to 2^40.
port::ClockScale make_scale(u64 hz);

// The duration of `ticks` at this scale: the ABI's formula (public xen.h, vcpu_time_info).
inline Nanos scale_ticks(const port::ClockScale& s, u64 ticks) {
    const u64 shifted = s.shift < 0 ? ticks >> -s.shift : ticks << s.shift;
    return static_cast<Nanos>(static_cast<u64>(static_cast<unsigned __int128>(shifted) * s.mul >> 32));
}

// The clock's reading at a TSC value; values from before its base count backwards.
inline Nanos clock_at(const port::ClockScale& s, u64 tsc) {
    const u64 delta = tsc - s.base_tsc;
    if (static_cast<s64>(delta) < 0) return s.base_ns - scale_ticks(s, 0 - delta);
    return s.base_ns + scale_ticks(s, delta);
}

// From nanoseconds to ticks, as 32.32 fixed point, the inverse of a scale: both roundings are up, so that the
// clock has reached a deadline when its ticks have passed.
struct TickRate {
    u64 per_ns = 0;
};
TickRate make_rate(const port::ClockScale& s);
inline u64 ticks_of(TickRate r, u64 ns) {
    return static_cast<u64>((static_cast<unsigned __int128>(ns) * r.per_ns + 0xffffffff) >> 32);
}

}  // namespace domus::x86
