// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl: what processors of this host have, and what guests can be given of it.
#include <algorithm>

#include "hypercall/cpu_policy.hpp"
#include "hypercall/sysctl.hpp"
#include "pv/cpu_features.hpp"

namespace domus::hypercall {

namespace {

// The numbers of XEN_SYSCTL_cpu_policy_*. EINVAL: none has it. EOPNOTSUPP: of guests with hardware
// virtualization, which there are none of.
Result<const CpuPolicy*> system_policy(u32 index) {
    switch (index) {
        case XEN_SYSCTL_cpu_policy_raw: return &pv::raw_policy();
        case XEN_SYSCTL_cpu_policy_host: return &pv::host_policy();
        case XEN_SYSCTL_cpu_policy_pv_max: return &pv::pv_max_policy();
        case XEN_SYSCTL_cpu_policy_pv_default: return &pv::pv_default_policy();
        case XEN_SYSCTL_cpu_policy_hvm_max:
        case XEN_SYSCTL_cpu_policy_hvm_default: return fail(Error::opnotsupp);
        default: return fail(Error::inval);
    }
}

// Feature sets have numbers of their own.
Result<const CpuPolicy*> policy_of_featureset(u32 index) {
    switch (index) {
        case XEN_SYSCTL_cpu_featureset_raw: return system_policy(XEN_SYSCTL_cpu_policy_raw);
        case XEN_SYSCTL_cpu_featureset_host: return system_policy(XEN_SYSCTL_cpu_policy_host);
        case XEN_SYSCTL_cpu_featureset_pv: return system_policy(XEN_SYSCTL_cpu_policy_pv_default);
        case XEN_SYSCTL_cpu_featureset_hvm: return system_policy(XEN_SYSCTL_cpu_policy_hvm_default);
        case XEN_SYSCTL_cpu_featureset_pv_max: return system_policy(XEN_SYSCTL_cpu_policy_pv_max);
        case XEN_SYSCTL_cpu_featureset_hvm_max: return system_policy(XEN_SYSCTL_cpu_policy_hvm_max);
        default: return fail(Error::inval);
    }
}

}  // namespace

Result<> write_policy(const CpuPolicy& policy, u32& leaf_count, u64 leaves, u32& msr_count, u64 msrs) {
    if (leaves == 0) {
        leaf_count = pv::kMaxWireLeaves;
    } else {
        std::array<xen_cpuid_leaf_t, pv::kMaxWireLeaves> list;
        const u32 n = pv::to_wire(policy, list);
        if (n > leaf_count) return fail(Error::nobufs);
        TRY(GuestOut<xen_cpuid_leaf_t>(leaves).write(0, list.data(), n));
        leaf_count = n;
    }
    if (msrs == 0) {
        msr_count = pv::kMaxWireMsrs;
    } else {
        std::array<xen_msr_entry_t, pv::kMaxWireMsrs> list;
        const u32 n = pv::to_wire(policy, list);
        if (n > msr_count) return fail(Error::nobufs);
        TRY(GuestOut<xen_msr_entry_t>(msrs).write(0, list.data(), n));
        msr_count = n;
    }
    return {};
}

// CPUID by a guest that does not ask with the ABI's prefix is answered by the processor: nothing is masked.
Result<> sysctl_get_cpu_levelling_caps(Caller&, Out<xen_sysctl_cpu_levelling_caps>&) { return {}; }

Result<> sysctl_get_cpu_featureset(Caller&, GuestAddr where) {
    auto arg = TRY(where.in<xen_sysctl_cpu_featureset>().read());
    const u64 features = reinterpret_cast<u64>(arg.features.p);
    if (features == 0) {
        arg.nr_features = pv::kFeatureWords;
        return where.out<xen_sysctl_cpu_featureset>().write(arg);
    }
    const CpuPolicy* policy = TRY(policy_of_featureset(arg.index));
    const pv::FeatureSet set = pv::features_of(*policy);
    const u32 fit = std::min(arg.nr_features, pv::kFeatureWords);
    TRY(GuestOut<u32>(features).write(0, set.data(), fit));
    arg.nr_features = fit;
    TRY(where.out<xen_sysctl_cpu_featureset>().write(arg));
    if (fit < pv::kFeatureWords) return fail(Error::nobufs);
    return {};
}

Result<> sysctl_get_cpu_policy(Caller&, GuestAddr where) {
    auto arg = TRY(where.in<xen_sysctl_cpu_policy_t>().read());
    if (arg._rsvd != 0) return fail(Error::inval);
    const CpuPolicy* policy = TRY(system_policy(arg.index));
    TRY(write_policy(*policy, arg.nr_leaves, reinterpret_cast<u64>(arg.leaves.p), arg.nr_msrs,
                     reinterpret_cast<u64>(arg.msrs.p)));
    return where.out<xen_sysctl_cpu_policy_t>().write(arg);
}

}  // namespace domus::hypercall
