// SPDX-License-Identifier: GPL-2.0-or-later
// What the processor can do, read once on the boot CPU.
#pragma once

#include "base/types.hpp"

namespace domus::x86 {

struct Features {
    bool smep = false, smap = false, fsgsbase = false, xsave = false, pge = false;
    bool tsc_deadline = false, x2apic = false;
    bool tsc_aux = false;            // RDTSCP or RDPID, and with them MSR TSC_AUX
    bool sysenter = false;           // it works in long mode: not on AMD's processors
    bool lfence_dispatches = false;  // LFENCE waits for all before it
    u64 arch_caps = 0, microcode = 0;
    u64 xcr0 = 0;           // state components this CPU supports; 0 without XSAVE
    u32 xsave_bytes = 512;  // size of the area that holds all of them (512: FXSAVE)
    char vendor[13] = {};
};

extern Features features;

// What the command line does not want; it counts as absent.
struct FeatureOptions {
    bool smep = true, smap = true, xsave = true;
};

// Fills `features`.
void detect_features(const FeatureOptions& wanted);
// Sets this CPU's CR0, CR4 and XCR0 accordingly.
void enable_cpu_features();

}  // namespace domus::x86
