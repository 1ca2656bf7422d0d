// SPDX-License-Identifier: GPL-2.0-or-later
// Processor features and the control bits that follow from them.
#include "arch/features.hpp"

#include "arch/insn.hpp"
#include "port/cpuid.hpp"

namespace domus::x86 {

constinit Features features;

void detect_features(bool smep_wanted, bool xsave_wanted) {
    const CpuidResult leaf0 = cpuid(0), leaf1 = cpuid(1);
    __builtin_memcpy(features.vendor, &leaf0.ebx, 4);
    __builtin_memcpy(features.vendor + 4, &leaf0.edx, 4);
    __builtin_memcpy(features.vendor + 8, &leaf0.ecx, 4);
    features.pge = (leaf1.edx & (1u << 13)) != 0;
    features.x2apic = (leaf1.ecx & (1u << 21)) != 0;
    features.tsc_deadline = (leaf1.ecx & (1u << 24)) != 0;
    if (leaf0.eax >= 7) {
        const CpuidResult leaf7 = cpuid(7);
        features.fsgsbase = (leaf7.ebx & (1u << 0)) != 0;
        features.smep = smep_wanted && (leaf7.ebx & (1u << 7)) != 0;
    }
    features.xsave = xsave_wanted && (leaf1.ecx & (1u << 26)) != 0;
    if (features.xsave) {
        const CpuidResult leafd = cpuid(0xd);
        features.xcr0 = u64{leafd.edx} << 32 | leafd.eax;
        features.xsave_bytes = leafd.ecx;
    }
}

void enable_cpu_features() {
    write_cr0((read_cr0() | kCr0Mp | kCr0Wp) & ~(kCr0Em | kCr0Ts));
    u64 cr4 = kCr4Pae | kCr4De | kCr4Mce | kCr4Osfxsr | kCr4Osxmmexcpt;
    if (features.pge) cr4 |= kCr4Pge;
    if (features.smep) cr4 |= kCr4Smep;
    if (features.fsgsbase) cr4 |= kCr4Fsgsbase;
    if (features.xsave) cr4 |= kCr4Osxsave;
    write_cr4(cr4);
    // The memory types that PV guests count on (pv/msr.hpp); for our own mappings its lower half means what
    // it means after reset.
    wrmsr(kMsrPat, 0x0000050100070406);
    if (features.xsave) {
        const u64 v = features.xcr0;
        asm volatile("xsetbv" : : "c"(0), "a"(static_cast<u32>(v)), "d"(static_cast<u32>(v >> 32)));
    }
}

}  // namespace domus::x86

namespace domus::port {

CpuidLeaf cpuid(u32 leaf, u32 subleaf) {
    const x86::CpuidResult r = x86::cpuid(leaf, subleaf);
    return {r.eax, r.ebx, r.ecx, r.edx};
}

}  // namespace domus::port
