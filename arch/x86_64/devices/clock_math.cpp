// SPDX-License-Identifier: GPL-2.0-or-later
// Scales of counters.
#include "arch_devices/clock_math.hpp"

namespace domus::x86 {

port::ClockScale make_scale(u64 hz) {
    // ns = ticks * 10^9 / hz = (ticks << shift) * mul / 2^32 with mul as large as 32 bits hold.
    port::ClockScale s;
    u64 dividend = kSecond;  // 10^9 / hz * 2^-shift shall lie in [1/2, 1)
    u64 divisor = hz;
    while (dividend >= divisor) {
        divisor <<= 1;
        s.shift++;
    }
    while (dividend * 2 < divisor) {
        dividend <<= 1;
        s.shift--;
    }
    s.mul = static_cast<u32>((static_cast<unsigned __int128>(dividend) << 32) / divisor);
    return s;
}

TickRate make_rate(u64 hz) {
    return {static_cast<u64>((static_cast<unsigned __int128>(hz) << 32) / static_cast<u64>(kSecond)) + 1};
}

}  // namespace domus::x86
