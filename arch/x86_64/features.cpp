// SPDX-License-Identifier: GPL-2.0-or-later
// Processor features and the control bits that follow from them.
#include "arch/features.hpp"

#include "arch/insn.hpp"
#include "port/cpuid.hpp"

namespace domus::x86 {

constinit Features features;

namespace {

// AMD, "Software techniques for managing speculation": LFENCE waits for what is before it always on families
// 0fh and 11h, and elsewhere if bit 1 of DE_CFG is set.
constexpr u64 kLfenceSerializes = 2;
bool lfence_configurable = false;

bool vendor_is(const char* name) { return __builtin_memcmp(features.vendor, name, 12) == 0; }

void detect_lfence(u32 signature) {
    if (!vendor_is("AuthenticAMD") && !vendor_is("HygonGenuine")) return;
    const u32 base = signature >> 8 & 15, family = base == 15 ? base + (signature >> 20 & 255) : base;
    if (family == 0x0f || family == 0x11) {
        features.lfence_dispatches = true;
    } else if (family >= 0x10) {
        lfence_configurable = true;
        wrmsr(kMsrDecodeConfig, rdmsr(kMsrDecodeConfig) | kLfenceSerializes);
        features.lfence_dispatches = (rdmsr(kMsrDecodeConfig) & kLfenceSerializes) != 0;
    }
}

void detect_revisions(bool arch_caps) {
    if (arch_caps) features.arch_caps = rdmsr(kMsrArchCaps);
    if (vendor_is("GenuineIntel")) {
        wrmsr(kMsrMicrocode, 0);
        static_cast<void>(cpuid(1));  // puts the revision there (Intel SDM vol. 3, 9.11.7.1)
        features.microcode = rdmsr(kMsrMicrocode);
    } else if (vendor_is("AuthenticAMD") || vendor_is("HygonGenuine")) {
        features.microcode = rdmsr(kMsrMicrocode);
    }
}

}  // namespace

void detect_features(const FeatureOptions& wanted) {
    const CpuidResult leaf0 = cpuid(0), leaf1 = cpuid(1);
    __builtin_memcpy(features.vendor, &leaf0.ebx, 4);
    __builtin_memcpy(features.vendor + 4, &leaf0.edx, 4);
    __builtin_memcpy(features.vendor + 8, &leaf0.ecx, 4);
    features.pge = (leaf1.edx & (1u << 13)) != 0;
    features.x2apic = (leaf1.ecx & (1u << 21)) != 0;
    features.tsc_deadline = (leaf1.ecx & (1u << 24)) != 0;
    if (cpuid(0x80000000).eax >= 0x80000001) features.tsc_aux = (cpuid(0x80000001).edx & (1u << 27)) != 0;
    features.sysenter = (leaf1.edx & (1u << 11)) != 0 &&
                        (vendor_is("GenuineIntel") || vendor_is("CentaurHauls") || vendor_is("  Shanghai  "));
    detect_lfence(leaf1.eax);
    detect_revisions(leaf0.eax >= 7 && (cpuid(7).edx & (1u << 29)) != 0);
    if (leaf0.eax >= 7) {
        const CpuidResult leaf7 = cpuid(7);
        features.tsc_aux = features.tsc_aux || (leaf7.ecx & (1u << 22)) != 0;
        features.fsgsbase = (leaf7.ebx & (1u << 0)) != 0;
        features.smep = wanted.smep && (leaf7.ebx & (1u << 7)) != 0;
        features.smap = wanted.smap && (leaf7.ebx & (1u << 20)) != 0;
    }
    features.xsave = wanted.xsave && (leaf1.ecx & (1u << 26)) != 0;
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
    if (features.smap) cr4 |= kCr4Smap;
    if (features.fsgsbase) cr4 |= kCr4Fsgsbase;
    if (features.xsave) cr4 |= kCr4Osxsave;
    write_cr4(cr4);
    if (lfence_configurable) wrmsr(kMsrDecodeConfig, rdmsr(kMsrDecodeConfig) | kLfenceSerializes);
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
