// SPDX-License-Identifier: GPL-2.0-or-later
// Counters of known frequency on the main board, best first: HPET (IA-PC HPET Specification 1.0a), ACPI PM
// timer (ACPI 6.4, 4.8.3.3), PIT (Intel 8254).
#pragma once

#include "base/types.hpp"
#include "drivers/acpi.hpp"

namespace domus::x86 {

struct PlatformTimer {
    const char* name = "";
    u64 hz = 0;    // 0: there is none
    u64 mask = 0;  // the counter wraps beyond these bits
    u64 (*read)(const PlatformTimer& self) = nullptr;
    volatile u8* page = nullptr;  // HPET
    u16 port = 0;                 // PM timer
};

// Starts the HPET's counter. hz 0: it does not count or claims an impossible period.
PlatformTimer hpet_timer(volatile void* page);
PlatformTimer pm_timer(const AcpiFadt& fadt);
// Programs the PIT's channel 2 (the speaker's, silent) to count down from 2^16, 55 ms.
PlatformTimer pit_timer();

}  // namespace domus::x86
