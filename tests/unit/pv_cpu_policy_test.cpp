// SPDX-License-Identifier: GPL-2.0-or-later
// Processor policies: recorded processors give what the reference gives, the tables agree with the public
// header, toolstacks can ask for less and not for more.
#include "pv/cpu_policy.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <map>
#include <random>
#include <regex>
#include <set>
#include <vector>

#include "fakes/cpuid.hpp"
#include "hypercall_fixture.hpp"
#include "mm/frame.hpp"
#include "pv/cpu_features.hpp"
#include "pv/cpu_policy_wire.hpp"
#include "pv/cpuid.hpp"
#include "unit/pv_cpuid_samples.hpp"

namespace domus {
namespace {

using pv::FeatureSet;
using Samples = std::span<const samples::Leaf>;

class CpuPolicyTest : public hypercall::HypercallTest {
  protected:
    ~CpuPolicyTest() override {
        fakes::cpuid_leaves.clear();
        pv::init_cpu_policies({});
    }
    // The processor is this one from now on.
    static void install(Samples raw, pv::HostFacts facts) {
        fakes::cpuid_leaves.clear();
        for (const samples::Leaf& l : raw)
            fakes::cpuid_leaves[{l.leaf, l.subleaf}] = {l.eax, l.ebx, l.ecx, l.edx};
        pv::init_cpu_policies(facts);
    }
    static void install_max() { install(samples::kMaxRaw, {.xsave = true, .lfence_dispatches = true}); }

    // All that the vCPU reads and that is not zero, by {leaf, subleaf}.
    static std::map<std::pair<u32, u32>, CpuidLeaf> view(const Vcpu& v) {
        std::map<std::pair<u32, u32>, CpuidLeaf> seen;
        for (u32 base : {0u, 0x80000000u})
            for (u32 leaf = base; leaf < base + 0x40; leaf++)
                for (u32 sub = 0; sub < (base == 0 ? 64u : 1u); sub++) {
                    const bool subleaves = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;
                    if (!subleaves && sub != 0) continue;
                    const CpuidLeaf l = pv::guest_cpuid(v, leaf, sub);
                    if (l != CpuidLeaf{}) seen[{leaf, sub}] = l;
                }
        return seen;
    }
    static std::map<std::pair<u32, u32>, CpuidLeaf> expected(Samples reference) {
        std::map<std::pair<u32, u32>, CpuidLeaf> want;
        for (const samples::Leaf& l : reference) want[{l.leaf, l.subleaf}] = {l.eax, l.ebx, l.ecx, l.edx};
        return want;
    }
    void compare(Samples reference, std::set<std::pair<u32, u32>> intended = {}) {
        auto want = expected(reference), got = view(vcpu);
        for (const auto& at : intended) {
            EXPECT_NE(want[at], got[at]) << std::hex << at.first << ": no difference any more";
            want.erase(at), got.erase(at);
        }
        for (const auto& [at, leaf] : want) {
            SCOPED_TRACE(testing::Message() << std::hex << "leaf " << at.first << '.' << at.second);
            EXPECT_EQ(got[at].eax, leaf.eax);
            EXPECT_EQ(got[at].ebx, leaf.ebx);
            EXPECT_EQ(got[at].ecx, leaf.ecx);
            EXPECT_EQ(got[at].edx, leaf.edx);
        }
        for (const auto& [at, leaf] : got)
            EXPECT_TRUE(want.contains(at) || leaf == CpuidLeaf{}) << std::hex << "more: leaf " << at.first;
    }
};

TEST_F(CpuPolicyTest, Dom0SeesWhatItSeesOnTheReference) {
    vcpu.pv.xcr0 = 7;
    install(samples::kAmdRaw, {.lfence_dispatches = true});
    compare(samples::kAmdReference);
    install_max();
    compare(samples::kMaxReference);
    install(samples::kIntelRaw, {});
    // The reference derives ARCH_CAPS (7.0 EDX bit 29) where the processor has none.
    compare(samples::kIntelReference, {{7, 0}});
}

TEST_F(CpuPolicyTest, EveryFeatureTheHeaderGivesToPvGuestsIsInTheTable) {
    std::ifstream header(DOMUS_CPUFEATURESET);
    ASSERT_TRUE(header) << DOMUS_CPUFEATURESET;
    const std::regex row(R"(XEN_CPUFEATURE\((\w+),\s*(\d+)\*32\+\s*(\d+)\)\s*/\*(\S*) .*)");
    FeatureSet always{}, optional{};
    u32 rows = 0;
    for (std::string line; std::getline(header, line);) {
        std::smatch m;
        if (!std::regex_match(line, m, row)) continue;
        rows++;
        const u32 feature = static_cast<u32>(std::stoul(m[2]) * 32 + std::stoul(m[3]));
        const std::string marks = m[4];
        ASSERT_LT(feature / 32, pv::kFeatureWords);
        if (marks.find('A') != std::string::npos) pv::add(always, feature), pv::add(optional, feature);
        if (marks.find('a') != std::string::npos) pv::add(optional, feature);
    }
    ASSERT_GT(rows, 200u);
    for (const u32 f : pv::kNotOffered) {
        EXPECT_TRUE(pv::has(always, f)) << f << ": the header does not give it anyway";
        pv::clear(always, f), pv::clear(optional, f);
    }
    for (u32 w = 0; w < pv::kFeatureWords; w++) {
        EXPECT_EQ(pv::kPvDefault[w], always[w]) << "word " << w;
        EXPECT_EQ(pv::kPvMaximum[w], optional[w]) << "word " << w;
    }
}

TEST_F(CpuPolicyTest, FeaturesGoWithWhatTheyNeed) {
    FeatureSet s;
    s.fill(~0u);
    FeatureSet all = s;
    pv::drop_dependents(all);
    EXPECT_EQ(all, s) << "nothing is missing";
    pv::clear(s, XEN_X86_FEATURE_XSAVE);
    pv::drop_dependents(s);
    for (const u32 gone :
         {XEN_X86_FEATURE_AVX, XEN_X86_FEATURE_AVX2, XEN_X86_FEATURE_FMA, XEN_X86_FEATURE_AVX512VL,
          XEN_X86_FEATURE_AVX512_VBMI, XEN_X86_FEATURE_XSAVEOPT, XEN_X86_FEATURE_VAES})
        EXPECT_FALSE(pv::has(s, gone)) << gone;
    EXPECT_TRUE(pv::has(s, XEN_X86_FEATURE_SSE4_2));
}

// The bug: kernels that saw no OSXSAVE ran with FXSAVE, and no process had AVX.
TEST_F(CpuPolicyTest, OsxsaveIsThereBeforeTheKernelSetsIt) {
    install_max();
    vcpu.pv.cr4 = 0;
    EXPECT_NE(pv::guest_cpuid(vcpu, 1, 0).ecx & 1u << 27, 0u);
    install(samples::kMaxRaw, {.xsave = false});
    EXPECT_EQ(pv::guest_cpuid(vcpu, 1, 0).ecx & (1u << 26 | 1u << 27 | 1u << 28), 0u);
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0xd, 0), CpuidLeaf{});
    EXPECT_EQ(pv::guest_cpuid(vcpu, 7, 0).ebx & 1u << 5, 0u) << "AVX2";
}

TEST_F(CpuPolicyTest, StateSizeFollowsXcr0) {
    install_max();
    vcpu.pv.xcr0 = 3;
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0xd, 0).ebx, 576u);
    vcpu.pv.xcr0 = 7;
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0xd, 0).ebx, 832u);
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0xd, 63), CpuidLeaf{});
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0xd, ~0u), CpuidLeaf{});
}

// Loading anything else would fault in the hypervisor.
TEST_F(CpuPolicyTest, Xcr0ValuesThatTheProcessorTakes) {
    std::vector<samples::Leaf> raw(std::begin(samples::kMaxRaw), std::end(samples::kMaxRaw));
    for (auto& l : raw) {
        if (l.leaf == 7 && l.subleaf == 0) l.ebx |= 1u << 16;  // AVX512F
        if (l.leaf == 0xd && l.subleaf == 0) l.eax |= 0xe0;
    }
    install(raw, {.xsave = true});
    for (const u64 good : {0x1, 0x3, 0x7, 0xe7}) EXPECT_TRUE(pv::xcr0_allowed(domain, good)) << good;
    for (const u64 bad : {u64{0}, u64{2}, u64{5}, u64{0x27}, u64{0x67}, u64{0xe3}, u64{0xe1}, u64{0x207},
                          u64{0xf}, u64{1} << 63 | 1, ~u64{0}})
        EXPECT_FALSE(pv::xcr0_allowed(domain, bad)) << std::hex << bad;
    install_max();
    EXPECT_FALSE(pv::xcr0_allowed(domain, 0xe7)) << "no such processor";
}

TEST_F(CpuPolicyTest, NothingBeyondTheLimits) {
    install_max();
    for (const u32 leaf : {0xeu, 0x20u, 0x40000006u, 0x40000100u, 0x80000022u, 0xc0000000u, ~0u})
        EXPECT_EQ(pv::guest_cpuid(vcpu, leaf, 0), CpuidLeaf{}) << std::hex << leaf;
}

TEST_F(CpuPolicyTest, HypervisorLeaves) {
    install_max();
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x40000000, 0),
              (CpuidLeaf{0x40000005, 0x566e6558, 0x65584d4d, 0x4d4d566e}));
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x40000001, 0), (CpuidLeaf{0x40011, 0, 0, 0}));
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x40000002, 0), (CpuidLeaf{1, 0x40000000, 1, 0}));
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x40000003, 0), (CpuidLeaf{4, 0, 0, 0})) << "RDTSCP; native counter";
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x40000003, 1), CpuidLeaf{});
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x40000003, 2).eax, 1'000'000u);
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x40000005, 0).ebx, std::bit_width(last_ram().v) + 12u);
}

TEST_F(CpuPolicyTest, InvariantTscIsForDomainsThatStay) {
    std::vector<samples::Leaf> raw(std::begin(samples::kMaxRaw), std::end(samples::kMaxRaw));
    raw.push_back({0x80000007, 0, 1, 2, 3, 0xffffffff});
    install(raw, {.xsave = true});
    EXPECT_EQ(pv::guest_cpuid(vcpu, 0x80000007, 0), (CpuidLeaf{0, 0, 0, 1u << 8}));
    Domain& other = make_domain(5);
    EXPECT_EQ(pv::guest_cpuid(*other.vcpu(VcpuId(0)), 0x80000007, 0), CpuidLeaf{});
    EXPECT_EQ(pv::pv_max_policy().extended[7].edx, 1u << 8);
}

// ---- what toolstacks do ---------------------------------------------------------------------------

std::vector<xen_cpuid_leaf_t> wire_of(const CpuPolicy& p) {
    std::array<xen_cpuid_leaf_t, pv::kMaxWireLeaves> list;
    const u32 n = pv::to_wire(p, list);
    return {list.begin(), list.begin() + n};
}

TEST_F(CpuPolicyTest, WireCarriesTheWholePolicy) {
    install_max();
    for (const CpuPolicy* p :
         {&pv::raw_policy(), &pv::host_policy(), &pv::pv_max_policy(), &pv::pv_default_policy()}) {
        const auto list = wire_of(*p);
        CpuPolicy back{};
        pv::PolicyError error;
        for (usize i = 0; i < list.size(); i++) {
            ASSERT_TRUE(pv::from_wire(back, list[i], error)) << std::hex << list[i].leaf;
            if (i != 0) {
                EXPECT_LT(std::pair(list[i - 1].leaf, list[i - 1].subleaf + 1),
                          std::pair(list[i].leaf, list[i].subleaf + 1))
                    << "rising";
            }
        }
        for (u32 leaf = 0; leaf < 0xe; leaf++)
            for (u32 sub = 0; sub < 8; sub++)
                EXPECT_EQ(pv::leaf_of(back, leaf, sub), pv::leaf_of(*p, leaf, sub)) << leaf << '.' << sub;
        for (u32 leaf = 0x80000000; leaf < 0x80000022; leaf++)
            EXPECT_EQ(pv::leaf_of(back, leaf, 0), pv::leaf_of(*p, leaf, 0)) << std::hex << leaf;
    }
    CpuPolicy full{};
    full.basic[0].eax = ~0u, full.features[0].eax = ~0u, full.extended[0].eax = ~0u;
    full.state[0].eax = full.state[0].edx = ~0u;
    for (auto& c : full.cache) c.eax = 1;
    for (auto& t : full.topology) t.ecx = 0x100;
    EXPECT_EQ(wire_of(full).size(), pv::kMaxWireLeaves) << "the most, and not one more";
}

TEST_F(CpuPolicyTest, LeavesThatAPolicyHasNot) {
    // As measured: {leaf, subleaf, known}.
    constexpr u32 kNone = ~0u;
    struct Row {
        u32 leaf, subleaf;
        bool known;
    };
    constexpr Row kTable[] = {
        {0, kNone, true},
        {0, 0, false},
        {7, 9, false},
        {7, kNone, false},
        {4, 7, false},
        {4, 1, true},
        {0xd, 70, false},
        {0xd, 2, true},
        {0xb, 3, false},
        {0xb, 1, true},
        {0xe, kNone, false},
        {0x20, kNone, false},
        {5, kNone, true},
        {0xa, kNone, true},
        {0x40000000, kNone, true},
        {0x40000100, kNone, true},
        {0x40000001, kNone, false},
        {0x40000200, kNone, false},
        {0x80000021, kNone, true},
        {0x80000022, kNone, false},
        {0xc0000000, kNone, false},
    };
    for (const Row& r : kTable) {
        CpuPolicy p{};
        pv::PolicyError error;
        const Result<> done = pv::from_wire(p, xen_cpuid_leaf_t{r.leaf, r.subleaf, 1, 2, 3, 4}, error);
        EXPECT_EQ(done.has_value(), r.known) << std::hex << r.leaf << '.' << r.subleaf;
        if (done) continue;
        EXPECT_EQ(done.error(), Error::range);
        EXPECT_EQ(error.leaf, r.leaf);
        EXPECT_EQ(error.subleaf, r.subleaf);
    }
}

TEST_F(CpuPolicyTest, Registers) {
    CpuPolicy p{};
    pv::PolicyError error;
    EXPECT_TRUE(pv::from_wire(p, xen_msr_entry_t{0xce, 0, 5}, error));
    EXPECT_EQ(p.platform_info, 5u);
    EXPECT_ERROR(pv::from_wire(p, xen_msr_entry_t{0xce, 0, u64{1} << 40}, error), overflow);
    EXPECT_ERROR(pv::from_wire(p, xen_msr_entry_t{0xce, 1, 0}, error), inval);
    EXPECT_ERROR(pv::from_wire(p, xen_msr_entry_t{0x10, 0, 0}, error), range);
    EXPECT_EQ(error.msr, 0x10u);
}

TEST_F(CpuPolicyTest, RefusedForWhatTheHostLacks) {
    install_max();
    pv::PolicyError error;
    CpuPolicy p = pv::pv_default_policy();
    EXPECT_TRUE(pv::check_policy(p, error));
    p.basic[0].eax = 0x1f;
    EXPECT_ERROR(pv::check_policy(p, error), inval);
    EXPECT_EQ(error.leaf, 0u);
    p = pv::pv_default_policy(), p.extended[0].eax = 0x80000030;
    EXPECT_ERROR(pv::check_policy(p, error), inval);
    EXPECT_EQ(error.leaf, 0x80000000u);
    p = pv::pv_default_policy(), p.features[0].eax = 3;
    EXPECT_ERROR(pv::check_policy(p, error), inval);
    EXPECT_EQ(error.leaf, 7u);
    p = pv::pv_default_policy(), p.platform_info = 1u << 31;
    EXPECT_ERROR(pv::check_policy(p, error), inval);
    EXPECT_EQ(error.msr, 0xceu);
}

TEST_F(CpuPolicyTest, WhateverIsAskedForTheGuestGetsNoMoreThanThereIs) {
    install_max();
    std::mt19937 random(1);
    const FeatureSet most = pv::features_of(pv::pv_max_policy());
    for (int round = 0; round < 2000; round++) {
        CpuPolicy p = pv::pv_default_policy();
        // Some leaves at random, or all ones.
        for (int i = 0; i < 6; i++) {
            const bool high = random() % 2 != 0;
            CpuidLeaf* l =
                pv::find_leaf(p, (high ? 0x80000000u : 0u) + random() % (high ? 0x22 : 0xe), random() % 2);
            ASSERT_NE(l, nullptr);
            const auto any = [&random] { return random() % 3 == 0 ? ~0u : static_cast<u32>(random()); };
            *l = {any(), any(), any(), any()};
        }
        pv::PolicyError error;
        if (!pv::check_policy(p, error)) continue;
        pv::fit_policy(p);
        FeatureSet got = pv::features_of(p);
        const FeatureSet of_guest = got;
        pv::drop_dependents(got);
        EXPECT_EQ(got, of_guest) << "nothing without what it needs";
        for (u32 w = 0; w < pv::kFeatureWords; w++)
            EXPECT_EQ(got[w] & ~(w == 2 ? most[2] | 0x0183f3ff : most[w]), 0u) << "word " << w;
        EXPECT_EQ(p.state[0].eax & ~7u, 0u) << "a component that the hypervisor does not switch";
        EXPECT_EQ(p.state[0].edx, 0u);
        EXPECT_LE(p.basic[0].eax, 0xdu);
        EXPECT_LE(p.extended[0].eax, 0x80000021u);
        EXPECT_EQ(p.basic[0].ebx, 0x68747541u) << "the vendor";
    }
}

TEST_F(CpuPolicyTest, AToolstackTakesAvxAway) {
    install_max();
    Domain& d = make_domain(5);
    CpuPolicy p = pv::policy_of(d);
    p.basic[1].ecx &= ~(1u << 28);
    pv::fit_policy(p);
    d.cpu_policy = *make<CpuPolicy>(p);
    const Vcpu& v = *d.vcpu(VcpuId(0));
    EXPECT_EQ(pv::guest_cpuid(v, 7, 0).ebx & 1u << 5, 0u) << "AVX2 with it";
    EXPECT_EQ(pv::guest_cpuid(v, 0xd, 0).eax, 3u) << "and its state";
    EXPECT_EQ(pv::guest_cpuid(v, 0xd, 2), CpuidLeaf{});
    EXPECT_NE(pv::guest_cpuid(vcpu, 7, 0).ebx & 1u << 5, 0u) << "dom0 keeps it";
    p.hypervisor_limit = 0x40000003;
    *d.cpu_policy = p;
    EXPECT_EQ(pv::guest_cpuid(v, 0x40000000, 0).eax, 0x40000003u);
    EXPECT_EQ(pv::guest_cpuid(v, 0x40000005, 0), CpuidLeaf{});
    d.cpu_policy->hypervisor_limit = 0x400000ff;
    EXPECT_EQ(pv::guest_cpuid(v, 0x40000000, 0).eax, 0x40000005u);
}

}  // namespace
}  // namespace domus
