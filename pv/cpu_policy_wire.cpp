// SPDX-License-Identifier: GPL-2.0-or-later
// Policies as lists.
#include "pv/cpu_policy_wire.hpp"

#include <algorithm>

namespace domus::pv {

namespace {

constexpr u32 kPlatformInfo = 0xce, kArchCaps = 0x10a;
constexpr u32 kHypervisorFirst = 0x40000000, kSecondFirst = 0x40000100, kExtendedFirst = 0x80000000;
constexpr u32 kNoSubleaf = XEN_CPUID_NO_SUBLEAF;

constexpr bool has_subleaves(u32 leaf) { return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd; }

struct Writer {
    std::span<xen_cpuid_leaf_t, kMaxWireLeaves> out;
    u32 count = 0;
    void put(u32 leaf, u32 subleaf, const CpuidLeaf& l) {
        out[count++] = {leaf, subleaf, l.eax, l.ebx, l.ecx, l.edx};
    }
    // Up to and with the first that `last` says is the last.
    template <class Leaves, class Last>
    void put_until(u32 leaf, const Leaves& leaves, Last last) {
        for (u32 i = 0; i < leaves.size(); i++) {
            put(leaf, i, leaves[i]);
            if (last(leaves[i])) return;
        }
    }
    void put_state(const CpuPolicy& p) {
        const u64 components = u64{p.state[0].edx} << 32 | p.state[0].eax;
        put(0xd, 0, p.state[0]);
        put(0xd, 1, p.state[1]);
        for (u32 i = 2; i < p.state.size(); i++)
            if (((components >> i) & 1) != 0) put(0xd, i, p.state[i]);
    }
};

}  // namespace

u32 to_wire(const CpuPolicy& p, std::span<xen_cpuid_leaf_t, kMaxWireLeaves> out) {
    Writer w{out};
    const u32 last = std::min<u32>(p.basic[0].eax, CpuPolicy::kBasicLeaves - 1);
    for (u32 i = 0; i <= last; i++) {
        switch (i) {
            case 4: w.put_until(i, p.cache, [](const CpuidLeaf& l) { return (l.eax & 0x1f) == 0; }); break;
            case 7:
                for (u32 s = 0; s <= std::min<u32>(p.features[0].eax, CpuPolicy::kFeatureSubleaves - 1); s++)
                    w.put(i, s, p.features[s]);
                break;
            case 0xb:
                w.put_until(i, p.topology, [](const CpuidLeaf& l) { return (l.ecx & 0xff00) == 0; });
                break;
            case 0xd: w.put_state(p); break;
            default: w.put(i, kNoSubleaf, p.basic[i]);
        }
    }
    w.put(kHypervisorFirst, kNoSubleaf, {p.hypervisor_limit, 0, 0, 0});
    w.put(kSecondFirst, kNoSubleaf, {p.second_limit, 0, 0, 0});
    const u32 top = std::min<u32>(p.extended[0].eax & 0xffff, CpuPolicy::kExtendedLeaves - 1);
    for (u32 i = 0; i <= top; i++) w.put(kExtendedFirst + i, kNoSubleaf, p.extended[i]);
    return w.count;
}

u32 to_wire(const CpuPolicy& p, std::span<xen_msr_entry_t, kMaxWireMsrs> out) {
    out[0] = {kPlatformInfo, 0, p.platform_info};
    out[1] = {kArchCaps, 0, p.arch_caps};
    return 2;
}

Result<> from_wire(CpuPolicy& p, const xen_cpuid_leaf_t& l, PolicyError& error) {
    const auto unknown = [&]() -> Result<> {
        error = {.leaf = l.leaf, .subleaf = l.subleaf};
        return fail(Error::range);
    };
    if (has_subleaves(l.leaf) == (l.subleaf == kNoSubleaf)) return unknown();
    if (l.leaf == kHypervisorFirst || l.leaf == kSecondFirst) {
        (l.leaf == kHypervisorFirst ? p.hypervisor_limit : p.second_limit) = l.a;
        return {};
    }
    CpuidLeaf* at = find_leaf(p, l.leaf, l.subleaf);
    if (at == nullptr) return unknown();
    *at = {l.a, l.b, l.c, l.d};
    return {};
}

Result<> from_wire(CpuPolicy& p, const xen_msr_entry_t& m, PolicyError& error) {
    error = {.msr = m.idx};
    if (m.flags != 0) return fail(Error::inval);
    switch (m.idx) {
        case kPlatformInfo:
            if (m.val >> 32 != 0) return fail(Error::overflow);
            p.platform_info = m.val;
            break;
        case kArchCaps: p.arch_caps = m.val; break;
        default: return fail(Error::range);
    }
    error = {};
    return {};
}

}  // namespace domus::pv
