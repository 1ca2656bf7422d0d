// SPDX-License-Identifier: GPL-2.0-or-later
// TSC calibration.
#include "arch_devices/calibrate.hpp"

#include <algorithm>

#include "arch_devices/clock_math.hpp"
#include "port/io.hpp"

namespace domus::x86 {

namespace {

struct Sample {
    u64 tsc = 0;    // in the middle
    u64 width = 0;  // of TSC ticks, within which the reference was read
    u64 reference = 0;
};

Sample take_sample(const PlatformTimer& t, unsigned tries) {
    Sample best;
    best.width = ~u64{0};
    for (unsigned i = 0; i < tries; i++) {
        const u64 before = port::read_tsc();
        const u64 reference = t.read(t);
        const u64 after = port::read_tsc();
        if (after - before < best.width) best = {before + (after - before) / 2, after - before, reference};
    }
    return best;
}

}  // namespace

Calibration calibrate_tsc(const PlatformTimer& t, u32 goal_ppm, Nanos longest) {
    constexpr unsigned kTries = 8;
    constexpr u64 kStuck = 20'000'000;  // reads without an end: the reference stands still
    if (t.hz == 0) return {};
    const u64 limit =
        std::min(mul_div(static_cast<u64>(longest), t.hz, static_cast<u64>(kSecond)), t.mask / 2);
    u64 step = t.hz / 200;  // first look after 5 ms
    const Sample start = take_sample(t, kTries);
    Calibration best;
    u64 reads = 0;
    for (;;) {
        const u64 wanted = std::min(step, limit);
        // The reference may pass `wanted` by any amount when the host holds us up, but must not wrap: the
        // TSC's own estimate, once there is one, tells.
        while (((t.read(t) - start.reference) & t.mask) < wanted)
            if (++reads == kStuck) return {};
        const Sample end = take_sample(t, kTries);
        const u64 ticks = (end.reference - start.reference) & t.mask;
        const u64 tsc = end.tsc - start.tsc;
        if (ticks == 0 || tsc == 0) return {};
        Calibration c;
        c.hz = mul_div(tsc, t.hz, ticks);
        // Half the width of each bracket, and one tick of the reference.
        const u64 uncertain = (start.width + end.width) / 2 + tsc / ticks;
        c.error_ppm = static_cast<u32>(std::min<u64>(mul_div(uncertain, 1'000'000, tsc), 1'000'000));
        if (best.hz == 0 || c.error_ppm <= best.error_ppm) best = c;
        if (best.error_ppm <= goal_ppm || wanted == limit) return best;
        step *= 2;
    }
}

}  // namespace domus::x86
