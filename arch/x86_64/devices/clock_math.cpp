// SPDX-License-Identifier: GPL-2.0-or-later
// Scales of counters.
#include "arch_devices/clock_math.hpp"

namespace domus::x86 {

namespace {

struct Quotient {
    u64 value;
    bool exact;
};

Quotient divide(unsigned __int128 n, u64 d) {
    if (d == 0 || static_cast<u64>(n >> 64) >= d) return {~u64{0}, false};
    u64 rest = static_cast<u64>(n >> 64), low = static_cast<u64>(n), quotient = 0;
    for (int bit = 63; bit >= 0; bit--) {
        const bool carry = (rest >> 63) != 0;
        rest = rest << 1 | (low >> bit & 1);
        if (carry || rest >= d) {
            rest -= d;
            quotient |= u64{1} << bit;
        }
    }
    return {quotient, rest == 0};
}

}  // namespace

u64 mul_div(u64 a, u64 b, u64 c) { return divide(static_cast<unsigned __int128>(a) * b, c).value; }

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
    s.mul = static_cast<u32>(mul_div(dividend, u64{1} << 32, divisor));
    return s;
}

TickRate make_rate(const port::ClockScale& s) {
    // A tick lasts mul * 2^shift / 2^32 ns.
    const unsigned __int128 one = static_cast<unsigned __int128>(1) << (s.shift < 0 ? 64 - s.shift : 64);
    const Quotient q = divide(one, s.shift < 0 ? s.mul : u64{s.mul} << s.shift);
    return {q.value + (q.exact ? 0 : 1)};
}

}  // namespace domus::x86
