// SPDX-License-Identifier: GPL-2.0-or-later
// The other CPUs: finding them in ACPI's tables and starting them.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"
#include "drivers/acpi.hpp"

namespace domus::x86 {

struct SmpOptions {
    u32 max_cpus = ~u32{0};  // maxcpus=; 0 counts as 1
    bool smp = true;         // nosmp
};

// A CPU that could be used. The first is the boot CPU.
struct CpuCandidate {
    u32 apic_id = 0;
    u32 acpi_id = 0;
};

// Reads the MADT; afterwards cpu_state(0) carries the boot CPU's ids, and arrays for all candidates may be
// made. The heap is up. ENOMEM.
Result<> find_cpus(const AcpiInfo& acpi, const SmpOptions& options);
u32 candidate_count();
const CpuCandidate& candidate(u32 index);

// Starts all other candidates, one after the other; CPUs that do not answer are logged and left out. Each
// runs `main` on its own stack, with its own tables, local APIC, timer and clock ready and interrupts off;
// main does not return. Returns how many CPUs run, the boot CPU included.
u32 start_cpus(void (*main)(CpuId cpu));

// After a crash has been declared (crash.cpp): stops the others by NMI, whatever they do, and waits a little
// for them.
void stop_other_cpus();

}  // namespace domus::x86
