// SPDX-License-Identifier: GPL-2.0-or-later
// Emulated time stamp counters.
#include "core/guest_tsc.hpp"

namespace domus::core {

namespace {

constexpr u64 kPerSecond = 1'000'000;  // kHz and nanoseconds: 10^6 ns are one tick of 1 kHz
constexpr u32 kSlowest = 1'000, kFastest = 1'000'000'000;

TickScale scale_of(u32 khz) {
    // mul / 2^32 * 2^shift is 10^6 / khz, with mul in [2^31, 2^32).
    u64 ratio = (kPerSecond << 32) / khz;  // below 2^52 / 10^3
    TickScale s;
    if (ratio >> 32 != 0) {
        while (ratio >> (32 + s.shift) != 0) s.shift++;
        s.mul = static_cast<u32>(ratio >> s.shift);
        return s;
    }
    // Below 1: more of its bits.
    u32 more = 0;
    while (((kPerSecond << (32 + more)) / khz) >> 31 == 0) more++;
    s.mul = static_cast<u32>((kPerSecond << (32 + more)) / khz);
    s.shift = static_cast<s8>(-static_cast<s32>(more));
    return s;
}

}  // namespace

Result<GuestTsc> make_tsc(u32 mode, u64 elapsed, u32 khz, u32 incarnation, u32 host_khz, Nanos now) {
    if (mode > static_cast<u32>(TscMode::never)) return fail(Error::inval);
    GuestTsc t{.mode = mode, .incarnation = incarnation + 1};
    if (mode == static_cast<u32>(TscMode::never)) return t;
    t.khz = khz != 0 ? khz : host_khz;
    if (t.khz < kSlowest || t.khz > kFastest) return fail(Error::inval);
    // The calibrations of two hosts with the same clock differ by a little: up to 1 in 1000 counts as equal.
    const u32 difference = t.khz > host_khz ? t.khz - host_khz : host_khz - t.khz;
    t.emulated = mode == static_cast<u32>(TscMode::always) || difference > host_khz / 1000;
    t.offset = now - static_cast<Nanos>(elapsed);
    t.to_ns = scale_of(t.khz);
    t.per_ns = (u64{t.khz} << 32) / kPerSecond;
    return t;
}

u64 emulated_tsc(const GuestTsc& tsc, Nanos now) {
    const u64 ns = static_cast<u64>(now) - static_cast<u64>(tsc.offset);
    return static_cast<u64>(static_cast<unsigned __int128>(ns) * tsc.per_ns >> 32);
}

}  // namespace domus::core
