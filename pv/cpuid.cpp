// SPDX-License-Identifier: GPL-2.0-or-later
// The CPUID policy of PV guests, as data: for each feature word the bits a PV guest may have (those that
// public arch-x86/cpufeatureset.h marks as applicable to all guests; the others need ring 0 or hardware
// virtualization).
#include "pv/cpuid.hpp"

#include <algorithm>

#include "abi/xen.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "port/time.hpp"

#include <xen/arch-x86/cpuid.h>

namespace domus::pv {

namespace {

// Feature words, host bits that pass.
constexpr u32 kLeaf1Edx = 0x1fc9cbf5, kLeaf1Ecx = 0x76d83203, kExt1Edx = 0xea500800, kExt1Ecx = 0x042109e3;
constexpr u32 kLeaf7Ebx = 0xfdaf0b29, kLeaf7Ecx = 0x02405f43, kLeaf7Edx = 0x20004410, kLeafD1Eax = 0x7;
constexpr u32 kExt8Ebx = 0x00000005, kInvariantTsc = 1u << 8;
constexpr u32 kOsxsave = 1u << 27, kHypervisorBit = 1u << 31, kXsave = 1u << 26, kMtrr = 1u << 12;
constexpr u32 kLastBasic = 0xd, kLastExtended = 0x8000001c;

// x87, SSE, AVX, AVX-512 state: what a PV guest may switch on in XCR0.
constexpr u64 kXcr0Mask = 0xe7;

CpuidLeaf hypervisor_leaf(const Vcpu& v, u32 leaf, u32 subleaf) {
    switch (leaf) {
        case 0:
            return {0x40000000 + XEN_CPUID_MAX_NUM_LEAVES, XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX,
                    XEN_CPUID_SIGNATURE_EDX};
        case 1: return {4u << 16 | 17, 0, 0, 0};
        case 2: return {1, 0x40000000, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD, 0};
        case 3: {
            const port::ClockScale scale = port::clock_scale();
            const u32 khz = static_cast<u32>(port::tsc_khz());
            if (subleaf == 0) return {0, 0, khz, 0};
            if (subleaf == 1) return {0, 0, scale.mul, static_cast<u32>(static_cast<s32>(scale.shift))};
            if (subleaf == 2) return {khz, 0, 0, 0};
            return {};
        }
        case 5:
            if (subleaf == 0)
                return {0, port::cpuid(0x80000008, 0).eax & XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK, 0, 0};
            return {};
        default: static_cast<void>(v); return {};
    }
}

// Leaf 0xd: XSAVE state (Intel SDM vol. 1, 13.2; AMD APM vol. 3, E.3.11).
CpuidLeaf xsave_leaf(const Vcpu& v, u32 subleaf, CpuidLeaf host) {
    if ((port::cpuid(1, 0).ecx & kXsave) == 0) return {};
    const u64 supported = (u64{port::cpuid(0xd, 0).edx} << 32 | port::cpuid(0xd, 0).eax) & kXcr0Mask;
    if (subleaf == 0) {
        u32 enabled = 512 + 64, all = 512 + 64;  // legacy area and header
        for (u32 i = 2; i < 63; i++) {
            if (((supported >> i) & 1) == 0) continue;
            const CpuidLeaf part = port::cpuid(0xd, i);
            all = std::max(all, part.ebx + part.eax);
            if (((v.pv.xcr0 >> i) & 1) != 0) enabled = std::max(enabled, part.ebx + part.eax);
        }
        return {static_cast<u32>(supported), enabled, all, static_cast<u32>(supported >> 32)};
    }
    if (subleaf == 1) return {host.eax & kLeafD1Eax & ~2u & ~8u, 0, 0, 0};
    return subleaf < 63 && ((supported >> subleaf) & 1) != 0 ? host : CpuidLeaf{};
}

}  // namespace

CpuidLeaf guest_cpuid(const Vcpu& v, u32 leaf, u32 subleaf) {
    if (leaf >= 0x40000000 && leaf < 0x40000100) return hypervisor_leaf(v, leaf - 0x40000000, subleaf);
    // Beyond what is described here nothing is known to be safe to show.
    const u32 last = (leaf & 0x80000000) != 0 ? kLastExtended : kLastBasic;
    if (leaf > last) return {};
    CpuidLeaf r = port::cpuid(leaf, subleaf);
    switch (leaf) {
        case 0: r.eax = std::min(r.eax, kLastBasic); break;
        case 1:
            r.edx &= kLeaf1Edx | (v.domain->hardware ? kMtrr : 0);
            r.ecx = (r.ecx & kLeaf1Ecx) | kHypervisorBit;
            if ((v.pv.cr4 & (1u << 18)) != 0) r.ecx |= kOsxsave;
            break;
        case 5: r = {}; break;  // MONITOR
        case 6: r = {}; break;  // thermal and power management
        case 7:
            if (subleaf != 0) return {};
            r.eax = 0;
            r.ebx &= kLeaf7Ebx;
            r.ecx &= kLeaf7Ecx;
            r.edx &= kLeaf7Edx;
            break;
        case 0xa: r = {}; break;  // performance counters
        case 0xd: r = xsave_leaf(v, subleaf, r); break;
        case 0x80000000: r.eax = std::min(r.eax, kLastExtended); break;
        case 0x80000001:
            r.edx &= kExt1Edx;
            r.ecx &= kExt1Ecx;
            break;
        case 0x80000007: r = {0, 0, 0, r.edx & kInvariantTsc}; break;
        case 0x80000008:
            r.ebx &= kExt8Ebx;
            r.ecx = 0;
            break;
        case 0x8000000a: r = {}; break;  // SVM
        case 0x8000001b: r = {}; break;  // instruction-based sampling
        default: break;
    }
    return r;
}

}  // namespace domus::pv
