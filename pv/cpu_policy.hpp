// SPDX-License-Identifier: GPL-2.0-or-later
// The rules of processor policies: what the host has, what a PV guest can have of it and what it gets, and
// what a toolstack may change.
#pragma once

#include "base/result.hpp"
#include "core/cpu_policy.hpp"

namespace domus {
struct Domain;
}

namespace domus::pv {

enum class Vendor : u8 { other, intel, amd, centaur, hygon, zhaoxin };
Vendor vendor_of(const CpuPolicy& policy);
// Vendors whose leaves are laid out as AMD's, and as Intel's.
constexpr bool like_amd(Vendor v) { return v == Vendor::amd || v == Vendor::hygon; }
constexpr bool like_intel(Vendor v) {
    return v == Vendor::intel || v == Vendor::centaur || v == Vendor::zhaoxin;
}

// What is known of the host beyond CPUID.
struct HostFacts {
    bool xsave = false;              // the hypervisor has switched XSAVE on
    bool lfence_dispatches = false;  // AMD: LFENCE waits for all before it (always, or by MSR c001_1029)
    u64 arch_caps = 0;               // MSR 0x10a, where there is one
    u64 microcode = 0;               // MSR 0x8b
};
const HostFacts& host_facts();

// Reads the host and computes all policies. Once at boot, before the first domain.
void init_cpu_policies(const HostFacts& facts);

// Raw: as the processor says. Host: what the hypervisor uses of it.
const CpuPolicy& raw_policy();
const CpuPolicy& host_policy();
// The most that a PV guest can have; what it gets unless its toolstack says otherwise.
const CpuPolicy& pv_max_policy();
const CpuPolicy& pv_default_policy();
// The domain's own; the hardware domain, which never moves to another host, has some more.
const CpuPolicy& policy_of(const Domain& d);

// The leaf of a policy, zeros beyond its limits; not the leaves of the hypervisor. Nothing in it depends on a
// vCPU.
CpuidLeaf leaf_of(const CpuPolicy& policy, u32 leaf, u32 subleaf);
// The place of a leaf in a policy; nullptr: it has none.
CpuidLeaf* find_leaf(CpuPolicy& policy, u32 leaf, u32 subleaf);

// Which part of a policy was refused.
struct PolicyError {
    u32 leaf = ~0u, subleaf = ~0u, msr = ~0u;
};
// Can a guest with this policy run here? EINVAL: `error` says what stands against it.
Result<> check_policy(const CpuPolicy& guest, PolicyError& error);
// Reduces a checked policy to what this host can give a PV guest, and makes it consistent: features without
// their prerequisites go, what follows from features (XSAVE state) is computed anew.
void fit_policy(CpuPolicy& guest);

}  // namespace domus::pv
