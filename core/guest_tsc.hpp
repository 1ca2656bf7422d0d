// SPDX-License-Identifier: GPL-2.0-or-later
// A domain's time stamp counter: the processor's own, or one that is emulated at a rate of its own (public
// domctl.h, XEN_DOMCTL_{get,set}tscinfo; public arch-x86/cpuid.h, leaf 0x40000003).
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::core {

enum class TscMode : u32 {
    automatic = 0,  // emulated only for a domain that comes from a host with another rate
    always = 1,     // always emulated
    never = 2,      // never
};

// From ticks to nanoseconds: shift left by `shift` (right if negative), then multiply by mul / 2^32.
struct TickScale {
    u32 mul = 0;
    s8 shift = 0;
};

struct GuestTsc {
    u32 mode = 0;         // TscMode
    u32 khz = 0;          // the guest's rate; 0: it was not set, and is the host's
    u32 incarnation = 0;  // how often the toolstack has set this, that is, the domain was migrated
    bool emulated = false;
    Nanos offset = 0;   // system time at which the emulated counter was 0
    TickScale to_ns{};  // of the emulated counter
    u64 per_ns = 0;     // its ticks per nanosecond, 32.32 fixed point
};

// What XEN_DOMCTL_settscinfo makes of its arguments. khz 0: the host's. `elapsed`: nanoseconds that the
// counter has run. EINVAL: no such mode, or a rate below 1 MHz or above 2^40 Hz.
Result<GuestTsc> make_tsc(u32 mode, u64 elapsed, u32 khz, u32 incarnation, u32 host_khz, Nanos now);

// The emulated counter at a system time.
u64 emulated_tsc(const GuestTsc& tsc, Nanos now);

}  // namespace domus::core
