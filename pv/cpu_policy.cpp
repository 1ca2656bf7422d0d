// SPDX-License-Identifier: GPL-2.0-or-later
// Processor policies: reading the host, and what is left of it for PV guests.
#include "pv/cpu_policy.hpp"

#include <algorithm>

#include "core/domain.hpp"
#include "port/cpuid.hpp"
#include "pv/cpu_features.hpp"

namespace domus::pv {

namespace {

constinit HostFacts known;
constinit CpuPolicy raw, host, pv_max, pv_default, domain_default, hardware;

constexpr u32 kExtendedBase = 0x80000000;
constexpr u32 kLastBasic = CpuPolicy::kBasicLeaves - 1;
constexpr u32 kLastExtended = kExtendedBase + CpuPolicy::kExtendedLeaves - 1;

// Intel documents 8 extended leaves. Of AMD's, those from 0x8000001d on describe caches and encryption; 0x21
// has features again.
constexpr u32 kLastIntelExtended = 0x80000008, kLastAmdExtended = 0x8000001c;

// XSAVE components that a PV guest can have, by the features they come with (Intel SDM vol. 1, 13.1).
struct Component {
    u16 feature;
    u64 bits;
};
constexpr Component kComponents[] = {
    {XEN_X86_FEATURE_AVX, u64{1} << 2},
    {XEN_X86_FEATURE_AVX512F, u64{7} << 5},
};
constexpr u32 kLegacyState = 512 + 64;  // FXSAVE image and header

// The features that AMD shows in word 2, too, as in word 0 (AMD APM vol. 3, Fn8000_0001_EDX).
constexpr u32 kCommonWithExtended = 0x0183f3ff;

void read_raw() {
    raw = {};
    const auto sub = [](auto& leaves, u32 leaf) {
        for (u32 i = 0; i < leaves.size(); i++) leaves[i] = port::cpuid(leaf, i);
    };
    const u32 last = std::min(port::cpuid(0, 0).eax, kLastBasic);
    for (u32 i = 0; i <= last; i++) {
        switch (i) {
            case 4: sub(raw.cache, i); break;
            case 7: raw.features[0] = port::cpuid(7, 0); break;
            case 0xb: sub(raw.topology, i); break;
            case 0xd: sub(raw.state, i); break;
            default: raw.basic[i] = port::cpuid(i, 0);
        }
    }
    for (u32 i = 1; i <= raw.features[0].eax && i < raw.features.size(); i++)
        raw.features[i] = port::cpuid(7, i);
    const u32 top = port::cpuid(kExtendedBase, 0).eax;
    if (top < kExtendedBase || top > kExtendedBase + 0xffff) return;
    for (u32 i = 0; i < CpuPolicy::kExtendedLeaves && kExtendedBase + i <= top; i++)
        raw.extended[i] = port::cpuid(kExtendedBase + i, 0);
}

void compute_state(CpuPolicy& p) {
    const FeatureSet features = features_of(p);
    if (!has(features, XEN_X86_FEATURE_XSAVE)) {
        p.state = {};
        return;
    }
    u64 components = 3;  // x87 and SSE
    for (const Component& c : kComponents)
        if (has(features, c.feature)) components |= c.bits;
    components &= u64{host.state[0].edx} << 32 | host.state[0].eax;
    u32 size = kLegacyState;
    const u32 features_word = p.state[1].eax;
    for (u32 i = 2; i < p.state.size(); i++) {
        const bool on = ((components >> i) & 1) != 0;
        p.state[i] = on ? host.state[i] : CpuidLeaf{};
        if (on) size = std::max(size, p.state[i].eax + p.state[i].ebx);
    }
    p.state[0] = {static_cast<u32>(components), size, size, static_cast<u32>(components >> 32)};
    // No supervisor state (XSAVES).
    p.state[1] = {features_word, 0, 0, 0};
}

// What of the leaves besides features is a PV guest's to see.
void trim_leaves(CpuPolicy& p) {
    const Vendor vendor = vendor_of(p);
    // The local APIC id of a vCPU means nothing to a PV guest.
    p.basic[1].ebx &= 0x00ffffff;
    if (like_amd(vendor)) p.basic[2] = {};
    // Serial number, MONITOR, power management, direct cache access, performance counters.
    for (const u32 i : {3u, 5u, 6u, 8u, 9u, 10u, 12u}) p.basic[i] = {};
    if (!like_intel(vendor)) p.cache = {};
    p.topology = {};

    p.extended[1].ebx = like_amd(vendor) ? p.extended[1].ebx : 0;
    if (like_intel(vendor)) {
        p.extended[0] = {p.extended[0].eax, 0, 0, 0};
        p.extended[1].eax = 0;
        p.extended[5] = {};
        p.extended[6] = {0, 0, p.extended[6].ecx, 0};
    }
    p.extended[7] = {0, 0, 0, p.extended[7].edx};
    // Physical address bits; linear ones as four levels of page tables have them. AMD: the number of cores.
    CpuidLeaf& sizes = p.extended[8];
    const u32 linear = std::min(sizes.eax >> 8 & 0xff, 48u);
    sizes = {(sizes.eax & 0xff) | linear << 8, sizes.ebx, like_amd(vendor) ? sizes.ecx : 0, 0};
    p.extended[9] = {};
    p.extended[0xa] = {};  // SVM
    for (u32 i = 0xb; i < 0x19; i++) p.extended[i] = {};
    if (!like_amd(vendor)) p.extended[0x19] = p.extended[0x1a] = {};
    for (u32 i = 0x1b; i < 0x21; i++) p.extended[i] = {};
    p.extended[0x21] = {p.extended[0x21].eax, 0, p.extended[0x21].ecx, 0};
}

void limit_leaves(CpuPolicy& p) {
    p.basic[0].eax = std::min(p.basic[0].eax, kLastBasic);
    u32 subleaves = std::min(p.features[0].eax, CpuPolicy::kFeatureSubleaves - 1);
    // Not more than there is something in.
    while (subleaves > 0 && p.features[subleaves] == CpuidLeaf{}) subleaves--;
    p.features[0].eax = subleaves;
    u32& last = p.extended[0].eax;
    if (last < kExtendedBase) return;
    if (!like_amd(vendor_of(p)))
        last = std::min(last, kLastIntelExtended);
    else
        last = std::min(last, p.extended[0x21] != CpuidLeaf{} ? kLastExtended : kLastAmdExtended);
}

// Bits that follow the host whatever the toolstack says: they tell how instructions behave.
constexpr u32 kFromHost[] = {XEN_X86_FEATURE_FDP_EXCP_ONLY, XEN_X86_FEATURE_NO_FPU_SEL};

void settle_features(CpuPolicy& p, FeatureSet set) {
    const FeatureSet of_host = features_of(host);
    for (const u32 f : kFromHost)
        if (has(of_host, f)) add(set, f);
    add(set, XEN_X86_FEATURE_HYPERVISOR);
    clear(set, XEN_X86_FEATURE_OSXSAVE);  // shown by what the vCPU has in CR4
    // In long mode, AMD's processors refuse SYSENTER.
    if (like_amd(vendor_of(p))) clear(set, XEN_X86_FEATURE_SEP);
    drop_dependents(set);
    set[2] &= ~kCommonWithExtended;
    if (!has(set, XEN_X86_FEATURE_ARCH_CAPS)) set[16] = set[17] = 0;
    set_features(p, set);
}

// In a domain's own policy, AMD's copies of word 0.
void copy_common(CpuPolicy& p) {
    if (like_amd(vendor_of(p))) p.extended[1].edx |= p.basic[1].edx & kCommonWithExtended;
}

CpuPolicy pv_policy(const FeatureSet& allowed) {
    CpuPolicy p = host;
    FeatureSet set = features_of(host);
    for (u32 w = 0; w < kFeatureWords; w++) set[w] &= allowed[w];
    settle_features(p, set);
    trim_leaves(p);
    compute_state(p);
    limit_leaves(p);
    return p;
}

}  // namespace

Vendor vendor_of(const CpuPolicy& policy) {
    const CpuidLeaf& l = policy.basic[0];
    struct Name {
        u32 ebx, edx, ecx;
        Vendor vendor;
    };
    static constexpr Name kNames[] = {
        {0x756e6547, 0x49656e69, 0x6c65746e, Vendor::intel},    // GenuineIntel
        {0x68747541, 0x69746e65, 0x444d4163, Vendor::amd},      // AuthenticAMD
        {0x746e6543, 0x48727561, 0x736c7561, Vendor::centaur},  // CentaurHauls
        {0x6f677948, 0x6e65476e, 0x656e6975, Vendor::hygon},    // HygonGenuine
        {0x68532020, 0x68676e61, 0x20206961, Vendor::zhaoxin},  //   Shanghai
    };
    for (const Name& n : kNames)
        if (l.ebx == n.ebx && l.edx == n.edx && l.ecx == n.ecx) return n.vendor;
    return Vendor::other;
}

const HostFacts& host_facts() { return known; }

void init_cpu_policies(const HostFacts& facts) {
    known = facts;
    read_raw();
    raw.arch_caps = facts.arch_caps;

    host = raw;
    host.basic[0].eax = std::min(host.basic[0].eax, kLastBasic);
    FeatureSet set = features_of(host);
    if (!facts.xsave) clear(set, XEN_X86_FEATURE_XSAVE);
    if (facts.lfence_dispatches) add(set, XEN_X86_FEATURE_LFENCE_DISPATCH);
    drop_dependents(set);
    set_features(host, set);
    if (has(set, XEN_X86_FEATURE_LFENCE_DISPATCH)) host.extended[0].eax = kLastExtended;
    if (!facts.xsave) host.state = {};

    pv_max = pv_policy(kPvMaximum);
    pv_default = pv_policy(kPvDefault);
    // A guest may come with more leaves than have something in them here.
    pv_max.features[0].eax = CpuPolicy::kFeatureSubleaves - 1;
    if (like_amd(vendor_of(host))) pv_max.extended[0].eax = kLastExtended;
    domain_default = pv_default;
    copy_common(domain_default);
    hardware = domain_default;
    // It stays on this host: the TSC's rate will not change under it.
    if (has(features_of(host), XEN_X86_FEATURE_ITSC)) {
        FeatureSet own = features_of(hardware);
        add(own, XEN_X86_FEATURE_ITSC);
        set_features(hardware, own);
    }
}

const CpuPolicy& raw_policy() { return raw; }
const CpuPolicy& host_policy() { return host; }
const CpuPolicy& pv_max_policy() { return pv_max; }
const CpuPolicy& pv_default_policy() { return pv_default; }
const CpuPolicy& policy_of(const Domain& d) {
    if (d.cpu_policy) return *d.cpu_policy;
    return d.hardware ? hardware : domain_default;
}

CpuidLeaf* find_leaf(CpuPolicy& p, u32 leaf, u32 subleaf) {
    const auto sub = [subleaf](auto& leaves) { return subleaf < leaves.size() ? &leaves[subleaf] : nullptr; };
    switch (leaf) {
        case 4: return sub(p.cache);
        case 7: return sub(p.features);
        case 0xb: return sub(p.topology);
        case 0xd: return sub(p.state);
        default: break;
    }
    if (leaf < p.basic.size()) return &p.basic[leaf];
    if (leaf >= kExtendedBase && leaf - kExtendedBase < p.extended.size())
        return &p.extended[leaf - kExtendedBase];
    return nullptr;
}

CpuidLeaf leaf_of(const CpuPolicy& p, u32 leaf, u32 subleaf) {
    const bool extended = (leaf & kExtendedBase) != 0;
    if (leaf > (extended ? p.extended[0].eax : p.basic[0].eax)) return {};
    if (leaf == 7 && subleaf > p.features[0].eax) return {};
    // Reading only.
    const CpuidLeaf* at = find_leaf(const_cast<CpuPolicy&>(p), leaf, subleaf);
    return at != nullptr ? *at : CpuidLeaf{};
}

Result<> check_policy(const CpuPolicy& guest, PolicyError& error) {
    const auto refuse = [&error](u32 leaf, u32 subleaf) -> Result<> {
        error = {.leaf = leaf, .subleaf = subleaf};
        return fail(Error::inval);
    };
    // A processor with more leaves than this one: what they say cannot be known here.
    if (guest.basic[0].eax > pv_max.basic[0].eax) return refuse(0, ~0u);
    if (guest.features[0].eax > pv_max.features[0].eax) return refuse(7, 0);
    if (guest.extended[0].eax > pv_max.extended[0].eax) return refuse(kExtendedBase, ~0u);
    if ((guest.platform_info & ~pv_max.platform_info) != 0) {
        error = {.msr = 0xce};
        return fail(Error::inval);
    }
    return {};
}

void fit_policy(CpuPolicy& p) {
    // Another vendor's leaves would be read by rules that do not hold here: who made the processor is not a
    // matter of policy.
    p.basic[0].ebx = host.basic[0].ebx, p.basic[0].ecx = host.basic[0].ecx,
    p.basic[0].edx = host.basic[0].edx;
    FeatureSet set = features_of(p);
    const FeatureSet most = features_of(pv_max);
    for (u32 w = 0; w < kFeatureWords; w++) set[w] &= most[w];
    settle_features(p, set);
    trim_leaves(p);
    compute_state(p);
    copy_common(p);
    // The sizes of addresses are the machine's.
    p.extended[8].eax = pv_max.extended[8].eax;
    limit_leaves(p);
}

}  // namespace domus::pv
