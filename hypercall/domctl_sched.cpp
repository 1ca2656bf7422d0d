// SPDX-License-Identifier: GPL-2.0-or-later
// domctl: where a domain's vCPUs run, and how much.
#include <algorithm>

#include "core/affinity.hpp"
#include "core/domain.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/cpu_set.hpp"
#include "hypercall/domctl.hpp"
#include "port/cpu.hpp"
#include "port/topology.hpp"
#include "sched/policy.hpp"

namespace domus::hypercall {

namespace {

Result<Vcpu*> vcpu_of(Domain& d, u32 id) {
    Vcpu* const v = d.vcpu(VcpuId(id));
    if (v == nullptr) return fail(Error::inval);
    return v;
}

u64 online_nodes() { return 1; }

}  // namespace

Result<> domctl_setvcpuaffinity(Caller&, Domain& d, xen_domctl_vcpuaffinity& arg) {
    Vcpu& v = *TRY(vcpu_of(d, arg.vcpu));
    if (arg.flags == 0) return fail(Error::inval);
    CpuSet hard = TRY(CpuSet::make());
    CpuSet soft = TRY(CpuSet::make());
    const bool set_hard = (arg.flags & XEN_VCPUAFFINITY_HARD) != 0;
    const bool set_soft = (arg.flags & XEN_VCPUAFFINITY_SOFT) != 0;
    if (set_hard) TRY(read_bitmap(arg.cpumap_hard, hard.words()));
    if (set_soft) TRY(read_bitmap(arg.cpumap_soft, soft.words()));
    const auto given = [](bool set, CpuSet& s) {
        return set ? std::optional<std::span<const u64>>(s.words()) : std::nullopt;
    };
    TRY(core::set_affinity(v, given(set_hard, hard), given(set_soft, soft),
                           (arg.flags & XEN_VCPUAFFINITY_FORCE) != 0));
    core::effective_affinity(v, hard.words(), soft.words());
    if (set_hard) TRY(write_bitmap(arg.cpumap_hard, hard.words(), port::cpu_count()));
    if (set_soft) TRY(write_bitmap(arg.cpumap_soft, soft.words(), port::cpu_count()));
    return {};
}

Result<> domctl_getvcpuaffinity(Caller&, Domain& d, xen_domctl_vcpuaffinity& arg) {
    Vcpu& v = *TRY(vcpu_of(d, arg.vcpu));
    if (arg.flags == 0) return fail(Error::inval);
    CpuSet hard = TRY(CpuSet::make());
    CpuSet soft = TRY(CpuSet::make());
    core::get_affinity(v, hard.words(), soft.words());
    if ((arg.flags & XEN_VCPUAFFINITY_HARD) != 0)
        TRY(write_bitmap(arg.cpumap_hard, hard.words(), port::cpu_count()));
    if ((arg.flags & XEN_VCPUAFFINITY_SOFT) != 0)
        TRY(write_bitmap(arg.cpumap_soft, soft.words(), port::cpu_count()));
    return {};
}

// All nodes means: by where the vCPUs run.
Result<> domctl_setnodeaffinity(Caller&, Domain& d, const xen_domctl_nodeaffinity& arg) {
    u64 nodes[1] = {};
    static_assert(kMaxNodes == 64);
    TRY(read_bitmap(arg.nodemap, nodes));
    if ((nodes[0] & online_nodes()) == 0) return fail(Error::inval);
    const bool given = nodes[0] != ~u64{0};
    __atomic_store_n(&d.node_affinity, given ? nodes[0] : online_nodes(), __ATOMIC_RELAXED);
    __atomic_store_n(&d.node_affinity_given, given, __ATOMIC_RELAXED);
    return {};
}

Result<> domctl_getnodeaffinity(Caller&, Domain& d, xen_domctl_nodeaffinity& arg) {
    const u64 nodes[1] = {__atomic_load_n(&d.node_affinity, __ATOMIC_RELAXED)};
    return write_bitmap(arg.nodemap, nodes, kMaxNodes);
}

namespace {

// A weight of 0 means that it stays.
Result<> credit2_share(Domain& d, bool put, xen_domctl_sched_credit2& arg) {
    core::DomainShare share = TRY(core::domain_share(d));
    if (put) {
        if (arg.weight != 0) share.weight = arg.weight;
        share.cap = arg.cap;
        return core::set_domain_share(d, share);
    }
    arg.weight = share.weight;
    arg.cap = share.cap;
    return {};
}

sched::Reservation from_abi(const xen_domctl_sched_rtds& r) {
    return {.period = r.period * kMicrosecond,
            .budget = r.budget * kMicrosecond,
            .extra = (r.flags & XEN_DOMCTL_SCHEDRT_extra) != 0};
}
xen_domctl_sched_rtds to_abi(const sched::Reservation& r) {
    return {.period = static_cast<u32>(r.period / kMicrosecond),
            .budget = static_cast<u32>(r.budget / kMicrosecond),
            .flags = r.extra ? XEN_DOMCTL_SCHEDRT_extra : 0u};
}

// What each vCPU begins with; or the same for all.
Result<> rtds_of_all(Domain& d, bool put, xen_domctl_sched_rtds& arg) {
    if (!put) {
        arg = to_abi(sched::Reservation{});
        return {};
    }
    Result<> done;
    core::for_each_vcpu(d, [&](Vcpu& v) {
        if (const Result<> r = core::set_vcpu_reservation(v, from_abi(arg)); !r) done = r;
    });
    return done;
}

Result<> rtds_of_vcpus(Domain& d, bool put, xen_domctl_scheduler_op& arg) {
    const GuestAddr list = address_of(arg.u.v.vcpus);
    const u32 count = arg.u.v.nr_vcpus;
    if (count > d.max_vcpus) return fail(Error::inval);
    for (u32 i = 0; i < count; i++) {
        auto one = TRY(list.in<xen_domctl_schedparam_vcpu_t>().read(i));
        Vcpu& v = *TRY(vcpu_of(d, one.vcpuid));
        if (put) {
            TRY(core::set_vcpu_reservation(v, from_abi(one.u.rtds)));
        } else {
            one.u.rtds = to_abi(TRY(core::vcpu_reservation(v)));
            TRY(list.out<xen_domctl_schedparam_vcpu_t>().write(one, i));
        }
    }
    return {};
}

}  // namespace

Result<> domctl_scheduler_op(Caller&, Domain& d, xen_domctl_scheduler_op& arg) {
    if (arg.sched_id != core::policy_of(d).abi_id) return fail(Error::inval);
    const bool put = arg.cmd == XEN_DOMCTL_SCHEDOP_putinfo || arg.cmd == XEN_DOMCTL_SCHEDOP_putvcpuinfo;
    switch (arg.cmd) {
        case XEN_DOMCTL_SCHEDOP_putinfo:
        case XEN_DOMCTL_SCHEDOP_getinfo:
            if (arg.sched_id == XEN_SCHEDULER_CREDIT2) return credit2_share(d, put, arg.u.credit2);
            if (arg.sched_id == XEN_SCHEDULER_RTDS) return rtds_of_all(d, put, arg.u.rtds);
            return fail(Error::inval);
        case XEN_DOMCTL_SCHEDOP_putvcpuinfo:
        case XEN_DOMCTL_SCHEDOP_getvcpuinfo:
            if (arg.sched_id == XEN_SCHEDULER_RTDS) return rtds_of_vcpus(d, put, arg);
            return fail(Error::inval);
        default: return fail(Error::inval);
    }
}

}  // namespace domus::hypercall
