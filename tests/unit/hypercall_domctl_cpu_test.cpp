// SPDX-License-Identifier: GPL-2.0-or-later
// domctl and sysctl on processors: policies, feature sets, counters, width, registers. What is expected of
// the ABI's answers was measured on the reference.
#include <gtest/gtest.h>

#include "abi/xen.hpp"
#include "fakes/cpuid.hpp"
#include "hypercall_fixture.hpp"
#include "pv/cpu_features.hpp"
#include "pv/cpu_policy_wire.hpp"
#include "pv/cpuid.hpp"
#include "unit/pv_cpuid_samples.hpp"

namespace domus::hypercall {
namespace {

constexpr u64 kLeaves = 0x1000, kMsrs = 0x8000, kWords = 0x9000;
constexpr u16 kGuest = 5;

class DomctlCpu : public HypercallTest {
  protected:
    DomctlCpu() {
        for (const samples::Leaf& l : samples::kMaxRaw)
            fakes::cpuid_leaves[{l.leaf, l.subleaf}] = {l.eax, l.ebx, l.ecx, l.edx};
        pv::init_cpu_policies({.xsave = true, .lfence_dispatches = true});
    }
    ~DomctlCpu() override {
        fakes::cpuid_leaves.clear();
        pv::init_cpu_policies({});
    }
    s64 domctl(u32 command, u16 id = kGuest) {
        op_.cmd = command, op_.interface_version = XEN_DOMCTL_INTERFACE_VERSION, op_.domain = id;
        put(0, op_);
        const s64 result = run(__HYPERVISOR_domctl, at(0));
        op_ = get<xen_domctl_t>(0);
        return result;
    }
    s64 sysctl(u32 command) {
        sys_.cmd = command, sys_.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        put(0, sys_);
        const s64 result = run(__HYPERVISOR_sysctl, at(0));
        sys_ = get<xen_sysctl_t>(0);
        return result;
    }
    // set_cpu_policy with this list.
    s64 set_policy(const std::vector<xen_cpuid_leaf_t>& leaves, const std::vector<xen_msr_entry_t>& msrs = {},
                   u16 id = kGuest) {
        auto& p = op_.u.cpu_policy;
        p = {};
        p.nr_leaves = static_cast<u32>(leaves.size()), p.nr_msrs = static_cast<u32>(msrs.size());
        set_handle(p.leaves, at(kLeaves)), set_handle(p.msrs, at(kMsrs));
        if (!leaves.empty()) put(kLeaves, leaves);
        if (!msrs.empty()) put(kMsrs, msrs);
        p.err_leaf = p.err_subleaf = p.err_msr = 0x5555;
        return domctl(XEN_DOMCTL_set_cpu_policy, id);
    }
    s64 vcpu_msr(u32 index, u64 value, u32 reserved = 0) {
        op_.u.vcpu_msrs = {};
        op_.u.vcpu_msrs.msr_count = 1;
        set_handle(op_.u.vcpu_msrs.msrs, at(kMsrs));
        put(kMsrs, xen_domctl_vcpu_msr_t{index, reserved, value});
        return domctl(XEN_DOMCTL_set_vcpu_msrs);
    }

    Domain& guest = make_domain(kGuest);
    xen_domctl_t op_{};
    xen_sysctl_t sys_{};
    xen_cpuid_leaf_t scratch_[120] = {}, again_[120] = {};
};

TEST_F(DomctlCpu, FeatureSets) {
    auto& f = sys_.u.cpu_featureset;
    f = {};
    EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_featureset), 0);
    EXPECT_EQ(f.nr_features, 19u);
    for (const u32 index : {0u, 1u, 2u, 4u}) {
        f.index = index, f.nr_features = 40;
        set_handle(f.features, at(kWords));
        EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_featureset), 0);
        EXPECT_EQ(f.nr_features, 19u);
    }
    EXPECT_EQ(get<u32>(kWords, 4), (std::vector<u32>{0x1fc9c3f5, 0xf6d83203, 0xe8500800, 0x63}))
        << "as on the reference, but for its x2APIC";
    f.nr_features = 3;
    put(kWords, std::vector<u32>{1, 1, 1, 1});
    EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_featureset), -ENOBUFS);
    EXPECT_EQ(get<u32>(kWords, 4), (std::vector<u32>{0x1fc9c3f5, 0xf6d83203, 0xe8500800, 1}));
    for (const u32 index : {3u, 5u}) {
        f.index = index;
        EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_featureset), -EOPNOTSUPP);
    }
    f.index = 6;
    EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_featureset), -EINVAL);
    EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_levelling_caps), 0);
    EXPECT_EQ(sys_.u.cpu_levelling_caps.caps, 0u);
}

TEST_F(DomctlCpu, SystemPolicies) {
    auto& p = sys_.u.cpu_policy;
    p = {};
    EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_policy), 0);
    EXPECT_EQ(p.nr_leaves, 120u);
    EXPECT_EQ(p.nr_msrs, 2u);
    for (const u32 index : {0u, 1u, 2u, 4u}) {
        p = {};
        p.index = index, p.nr_leaves = 300, p.nr_msrs = 30;
        set_handle(p.leaves, at(kLeaves)), set_handle(p.msrs, at(kMsrs));
        EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_policy), 0);
        EXPECT_EQ(p.nr_msrs, 2u);
        EXPECT_EQ(get<xen_cpuid_leaf_t>(kLeaves).a, 0xdu);
        p.nr_leaves = 3;
        EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_policy), -ENOBUFS);
    }
    EXPECT_EQ(p.nr_leaves, 3u);
    p.nr_leaves = 52;
    EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_policy), 0) << "the reference's number for this processor";
    for (const u32 index : {3u, 5u}) {
        p.index = index;
        EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_policy), -EOPNOTSUPP);
    }
    p.index = 6;
    EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_policy), -EINVAL);
    p.index = 4, p._rsvd = 1;
    EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_policy), -EINVAL);
    for (const u64 bad : kBadAddresses) {
        if (bad == 0) continue;
        p = {};
        p.index = 4, p.nr_leaves = 300, p.nr_msrs = 30;
        set_handle(p.leaves, bad);
        EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_policy), -EFAULT);
    }
}

TEST_F(DomctlCpu, APolicyGoesRound) {
    auto& p = op_.u.cpu_policy;
    p = {};
    p.nr_leaves = 300, p.nr_msrs = 30;
    set_handle(p.leaves, at(kLeaves)), set_handle(p.msrs, at(kMsrs));
    ASSERT_EQ(domctl(XEN_DOMCTL_get_cpu_policy), 0);
    const auto leaves = get<xen_cpuid_leaf_t>(kLeaves, p.nr_leaves);
    const auto msrs = get<xen_msr_entry_t>(kMsrs, p.nr_msrs);
    const auto before = pv::to_wire(pv::policy_of(guest), std::span<xen_cpuid_leaf_t, 120>(scratch_));
    EXPECT_EQ(set_policy(leaves, msrs), 0);
    ASSERT_TRUE(guest.cpu_policy);
    EXPECT_EQ(pv::to_wire(*guest.cpu_policy, std::span<xen_cpuid_leaf_t, 120>(again_)), before);
    EXPECT_EQ(std::memcmp(scratch_, again_, before * sizeof *scratch_), 0) << "unchanged";
    EXPECT_EQ(guest.pause_count.load(), 1u);
}

TEST_F(DomctlCpu, WhatIsTakenAwayIsGone) {
    EXPECT_EQ(set_policy({{1, ~0u, 0x60fb1, 0x20800, 0x80002001 | 1u << 28, 0x1789c3f5}}), 0);
    const Vcpu& v = *guest.vcpu(VcpuId(0));
    EXPECT_EQ(pv::guest_cpuid(v, 1, 0).ecx, 0x80002001u) << "no AVX without XSAVE";
    EXPECT_EQ(pv::guest_cpuid(v, 7, 0).ebx & 1u << 5, 0u);
    EXPECT_EQ(pv::guest_cpuid(v, 0xd, 0), CpuidLeaf{});
}

TEST_F(DomctlCpu, PolicyRefusals) {
    const auto errors = [this] {
        const auto& p = op_.u.cpu_policy;
        return std::array<u32, 3>{p.err_leaf, p.err_subleaf, p.err_msr};
    };
    using Errors = std::array<u32, 3>;
    constexpr u32 kNone = ~0u;
    EXPECT_EQ(set_policy({{0, kNone, 0x1f, 0, 0, 0}}), -EINVAL);
    EXPECT_EQ(errors(), (Errors{0, kNone, kNone}));
    EXPECT_EQ(set_policy({{0x80000000, kNone, 0x80000030, 0, 0, 0}}), -EINVAL);
    EXPECT_EQ(errors(), (Errors{0x80000000, kNone, kNone}));
    EXPECT_EQ(set_policy({{7, 9, 0, 0, 0, 0}}), -ERANGE);
    EXPECT_EQ(errors(), (Errors{7, 9, kNone}));
    EXPECT_EQ(set_policy({}, {{0xce, 0, 1u << 31}}), -EINVAL);
    EXPECT_EQ(errors(), (Errors{kNone, kNone, 0xce}));
    EXPECT_EQ(set_policy({}, {{0xce, 0, u64{1} << 40}}), -EOVERFLOW);
    EXPECT_EQ(set_policy({}, {{0x10, 0, 0}}), -ERANGE);
    EXPECT_EQ(set_policy(std::vector<xen_cpuid_leaf_t>(121)), -E2BIG);
    EXPECT_EQ(errors(), (Errors{kNone, kNone, kNone}));
    EXPECT_EQ(set_policy({}, std::vector<xen_msr_entry_t>(3)), -E2BIG);
    EXPECT_FALSE(guest.cpu_policy) << "nothing has changed";
    EXPECT_EQ(set_policy({}, {}, 0), -EINVAL) << "the caller itself";
    EXPECT_EQ(errors(), (Errors{0x5555, 0x5555, 0x5555}));
    EXPECT_EQ(guest.pause_count.load(), 1u);
    bool said = false;
    for (const auto& line : log_lines) said = said || line.find("CPU policy is refused") != std::string::npos;
    EXPECT_TRUE(said);
    op_.u.cpu_policy = {};
    op_.u.cpu_policy.nr_leaves = 1;
    EXPECT_EQ(domctl(XEN_DOMCTL_set_cpu_policy), -EFAULT) << "a null list";
}

TEST_F(DomctlCpu, ADomainThatHasRunKeepsItsPolicy) {
    guest.vcpu(VcpuId(1))->time_version = 2;
    EXPECT_EQ(set_policy({}), -EEXIST);
    EXPECT_EQ(guest.pause_count.load(), 1u);
}

TEST_F(DomctlCpu, Counters) {
    auto& t = op_.u.tsc_info;
    machine.now = 50 * kSecond;
    const auto set = [&](u32 mode, u32 khz, u32 incarnation, u64 elapsed) {
        t = {};
        t.tsc_mode = mode, t.gtsc_khz = khz, t.incarnation = incarnation, t.elapsed_nsec = elapsed;
        const s64 result = domctl(XEN_DOMCTL_settscinfo);
        t = {};
        EXPECT_EQ(domctl(XEN_DOMCTL_gettscinfo), 0);
        return result;
    };
    EXPECT_EQ(set(0, 0, 0, 0), 0);
    EXPECT_EQ(t.gtsc_khz, 1'000'000u);
    EXPECT_EQ(t.incarnation, 1u);
    EXPECT_EQ(t.elapsed_nsec, 0u);
    EXPECT_EQ(set(1, 2'000'000, 3, 5 * kSecond), 0);
    EXPECT_EQ(t.tsc_mode, 1u);
    EXPECT_EQ(t.gtsc_khz, 2'000'000u);
    EXPECT_EQ(t.incarnation, 4u);
    EXPECT_EQ(t.elapsed_nsec, static_cast<u64>(5 * kSecond));
    EXPECT_EQ(pv::guest_cpuid(*guest.vcpu(VcpuId(0)), 0x40000003, 0), (CpuidLeaf{5, 1, 2'000'000, 4}));
    EXPECT_EQ(set(2, 0, 0, 0), 0);
    EXPECT_EQ(t.tsc_mode, 2u);
    EXPECT_EQ(t.gtsc_khz, 0u);
    EXPECT_EQ(set(3, 0, 0, 0), -EINVAL);
    EXPECT_EQ(t.tsc_mode, 2u);
    EXPECT_EQ(domctl(XEN_DOMCTL_gettscinfo, 0), -EINVAL);
    EXPECT_EQ(domctl(XEN_DOMCTL_settscinfo, 0), -EINVAL);
    EXPECT_EQ(guest.pause_count.load(), 1u);
}

TEST_F(DomctlCpu, Width) {
    const auto set = [&](u32 size) {
        op_.u.address_size.size = size;
        return domctl(XEN_DOMCTL_set_address_size);
    };
    EXPECT_EQ(set(64), 0);
    EXPECT_EQ(set(17), -EINVAL);
    EXPECT_EQ(domctl(XEN_DOMCTL_get_address_size), 0);
    EXPECT_EQ(op_.u.address_size.size, 64u);
    EXPECT_EQ(set(32), 0);
    EXPECT_EQ(set(32), 0);
    EXPECT_EQ(domctl(XEN_DOMCTL_get_address_size), 0);
    EXPECT_EQ(op_.u.address_size.size, 32u);
    EXPECT_EQ(set(64), -EINVAL) << "there is no way back";
    EXPECT_EQ(set(0), -EINVAL);
}

TEST_F(DomctlCpu, VcpuRegisters) {
    auto& m = op_.u.vcpu_msrs;
    m = {};
    EXPECT_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs), 0);
    EXPECT_EQ(m.msr_count, 2u);
    EXPECT_EQ(vcpu_msr(0xc0000103, 5), 0);
    EXPECT_EQ(guest.vcpu(VcpuId(0))->pv.tsc_aux, 5u);
    EXPECT_EQ(vcpu_msr(0x140, 0), 0);
    EXPECT_EQ(vcpu_msr(0x140, 1), -EINVAL);
    EXPECT_EQ(m.msr_count, 0u) << "which one";
    EXPECT_EQ(vcpu_msr(0xc0000103, u64{1} << 32), -EINVAL);
    EXPECT_EQ(vcpu_msr(0xc0000103, 5, 1), -EINVAL);
    EXPECT_EQ(vcpu_msr(0x10, 5), -EINVAL);
    m = {};
    m.msr_count = 100;
    set_handle(m.msrs, at(kMsrs));
    EXPECT_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs), 0);
    EXPECT_EQ(m.msr_count, 1u);
    EXPECT_EQ(get<xen_domctl_vcpu_msr_t>(kMsrs).value, 5u);
    m.msr_count = 0;
    EXPECT_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs), -ENOBUFS);
    EXPECT_EQ(m.msr_count, 1u);
    m.msr_count = 1000;
    EXPECT_EQ(domctl(XEN_DOMCTL_set_vcpu_msrs), -EINVAL);
    m.vcpu = 5;
    EXPECT_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs), -ESRCH);
    EXPECT_EQ(domctl(XEN_DOMCTL_set_vcpu_msrs), -ESRCH);
    m.vcpu = 0;
    EXPECT_EQ(domctl(XEN_DOMCTL_get_vcpu_msrs, 0), -EINVAL);
    EXPECT_EQ(guest.pause_count.load(), 1u);
}

TEST_F(DomctlCpu, OnlyTheControlDomainMay) {
    domain.privileged = false;
    EXPECT_EQ(set_policy({}), -EPERM);
    EXPECT_EQ(sysctl(XEN_SYSCTL_get_cpu_policy), -EPERM);
    domain.privileged = true;
}

}  // namespace
}  // namespace domus::hypercall
