// SPDX-License-Identifier: GPL-2.0-or-later
// The clock and the one-shot timer of a CPU.
#pragma once

#include "base/types.hpp"

namespace domus::port {

// How system time follows from a TSC value on this CPU: ns = base_ns + scale(tsc - base_tsc), where scale
// shifts by `shift` (left if positive) and then multiplies by mul / 2^32. The form is that of the ABI's
// vcpu_time_info (public xen.h).
struct ClockScale {
    u64 base_tsc = 0;
    Nanos base_ns = 0;
    u32 mul = 0;
    s8 shift = 0;
};

Nanos now();
ClockScale clock_scale();
u64 tsc_khz();
// The TSCs of all CPUs count alike, whatever the power state, so that a guest may compare readings of
// different CPUs (XEN_PVCLOCK_TSC_STABLE_BIT).
bool tsc_stable();

// Arms this CPU's timer to raise Work::timer at the given time (at once if it has passed); kNever disarms.
inline constexpr Nanos kNever = INT64_MAX;
void set_deadline(Nanos when);

// Wall-clock time of day at system time 0, ns since 1970 (read from the CMOS clock at boot, changed by
// platform_op settime).
struct WallClock {
    u64 seconds = 0;
    u32 nanoseconds = 0;
};
WallClock wall_clock();  // as the hardware clock had it at boot; core/clock keeps what guests see

}  // namespace domus::port
