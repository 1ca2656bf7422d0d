// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's clock: set up at boot, then served through port/time.hpp.
#pragma once

#include "arch_devices/tsc_sync.hpp"
#include "base/result.hpp"
#include "base/types.hpp"
#include "drivers/acpi.hpp"

namespace domus::x86 {

// On the boot CPU, after init_interrupts() and with candidate_count() known: measures the TSC and the local
// APIC's timer, starts the clock at 0 and reads the wall clock. NODEV: nothing to measure the TSC against.
Result<> init_time(const AcpiInfo& acpi);

// This CPU's timer. For each CPU that starts later.
void init_cpu_timer();

// A CPU's clock is the boot CPU's, with its TSC corrected by `ticks`. Before that CPU reads its clock.
void set_cpu_clock(CpuId cpu, s64 tsc_correction);

// A busy wait; serves nobody meanwhile.
void delay_us(u32 microseconds);

}  // namespace domus::x86
