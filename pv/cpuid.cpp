// SPDX-License-Identifier: GPL-2.0-or-later
// CPUID as a vCPU sees it: its domain's policy, what follows from its own registers, and the hypervisor's
// leaves (public arch-x86/cpuid.h).
#include "pv/cpuid.hpp"

#include <algorithm>
#include <bit>

#include "abi/xen.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "mm/frame.hpp"
#include "port/time.hpp"
#include "pv/cpu_features.hpp"
#include "pv/cpu_policy.hpp"
#include "pv/xcr0.hpp"

#include <xen/arch-x86/cpuid.h>

namespace domus::pv {

namespace {

constexpr u32 kFirst = 0x40000000, kRange = 0x100;

// A toolstack may show fewer leaves, but not so few that a guest cannot tell where it runs.
constexpr u32 kFewestLeaves = 2;

CpuidLeaf tsc_leaf(const Vcpu& v, u32 subleaf) {
    const core::GuestTsc& tsc = v.domain->tsc;
    switch (subleaf) {
        case 0: {
            const bool rdtscp = has(features_of(policy_of(*v.domain)), XEN_X86_FEATURE_RDTSCP);
            return {(tsc.emulated ? 1u : 0u) | (rdtscp ? 4u : 0u), tsc.mode, tsc.khz, tsc.incarnation};
        }
        case 1: {
            if (!tsc.emulated) return {};
            // The emulated counter is (now - offset) in nanoseconds, scaled.
            const u64 offset = static_cast<u64>(tsc.offset);
            return {static_cast<u32>(offset), static_cast<u32>(offset >> 32), tsc.to_ns.mul,
                    static_cast<u32>(s32{tsc.to_ns.shift})};
        }
        case 2: return {static_cast<u32>(port::tsc_khz()), 0, 0, 0};
        default: return {};
    }
}

CpuidLeaf hypervisor_leaf(const Vcpu& v, u32 leaf, u32 subleaf) {
    const u32 wish = policy_of(*v.domain).hypervisor_limit;
    u32 last = XEN_CPUID_MAX_NUM_LEAVES;
    if (wish >= kFirst && wish < kFirst + kRange) last = std::clamp(wish - kFirst, kFewestLeaves, last);
    if (leaf > last) return {};
    switch (leaf) {
        case 0:
            return {kFirst + last, XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX};
        case 1: return {4u << 16 | 17, 0, 0, 0};
        case 2: return {1, kFirst, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD, 0};
        case 3: return tsc_leaf(v, subleaf);
        case 5: {
            if (subleaf != 0) return {};
            const u32 width = static_cast<u32>(std::bit_width(last_ram().v)) + kPageShift;
            return {0, width & XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK, 0, 0};
        }
        default: return {};
    }
}

}  // namespace

CpuidLeaf guest_cpuid(const Vcpu& v, u32 leaf, u32 subleaf) {
    if (leaf >= kFirst && leaf < kFirst + kRange) return hypervisor_leaf(v, leaf - kFirst, subleaf);
    const CpuPolicy& policy = policy_of(*v.domain);
    CpuidLeaf r = leaf_of(policy, leaf, subleaf);
    switch (leaf) {
        case 1:
            // The bit stands for CR4.OSXSAVE. PV kernels look for it before they touch CR4, and use no XSAVE
            // if it is not set, because the real CR4 used to show through: for them it is on from the start.
            if (has(features_of(policy), XEN_X86_FEATURE_XSAVE))
                r.ecx |= 1u << (XEN_X86_FEATURE_OSXSAVE % 32);
            break;
        case 0xd:
            if (subleaf != 0 || r.eax == 0) break;
            r.ebx = 512 + 64;  // legacy area and header: what is always saved
            for (u32 i = 2; i < policy.state.size(); i++)
                if (((v.pv.xcr0 >> i) & 1) != 0)
                    r.ebx = std::max(r.ebx, policy.state[i].eax + policy.state[i].ebx);
            break;
        default: break;
    }
    return r;
}

bool xcr0_allowed(const Domain& d, u64 xcr0) {
    const CpuidLeaf leaf = leaf_of(policy_of(d), 0xd, 0);
    const u64 supported = u64{leaf.edx} << 32 | leaf.eax;
    return (xcr0 & ~supported) == 0 && xcr0_consistent(xcr0);
}

}  // namespace domus::pv
