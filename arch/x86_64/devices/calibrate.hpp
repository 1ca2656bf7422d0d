// SPDX-License-Identifier: GPL-2.0-or-later
// The frequency of the TSC, measured against a counter of known frequency.
#pragma once

#include "arch_devices/platform_timer.hpp"
#include "base/types.hpp"

namespace domus::x86 {

struct Calibration {
    u64 hz = 0;         // 0: the reference could not be used
    u32 error_ppm = 0;  // bound on the error, parts per million
};

// Measures. Each end of the interval is a reading of the reference between two of the TSC, the tightest of
// several, so that a host which takes our CPU away does not spoil it; the interval grows until the error is
// below `goal_ppm` or it is `longest` (less than half the reference's wrap, if that is shorter). Interrupts
// are off.
Calibration calibrate_tsc(const PlatformTimer& reference, u32 goal_ppm = 100,
                          Nanos longest = 100 * kMillisecond);

// The frequency the CPU declares itself: CPUID leaf 0x15 (Intel SDM vol. 2, CPUID), 0 if it does not.
struct CpuidLeaf15 {
    u32 denominator = 0, numerator = 0, crystal_hz = 0;
};
constexpr u64 declared_tsc_hz(const CpuidLeaf15& l) {
    if (l.denominator == 0 || l.numerator == 0 || l.crystal_hz == 0) return 0;
    return u64{l.crystal_hz} * l.numerator / l.denominator;
}

}  // namespace domus::x86
