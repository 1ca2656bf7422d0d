// SPDX-License-Identifier: GPL-2.0-or-later
// A control domain that changes pools, affinity and shares on a machine whose other CPU goes on meanwhile.
#pragma once

#include <utility>

#include "unit/sysctl_fixture.hpp"

namespace domus::hypercall {

class CpuPools : public SysctlTest {
  protected:
    static constexpr u64 kHard = 0x1000, kSoft = 0x1100, kList = 0x2000;
    static constexpr u32 kAny = XEN_SYSCTL_CPUPOOL_PAR_ANY;

    // What the other CPU does meanwhile, and this one on its way out.
    CpuPools() {
        between = [this] {
            const CpuId here = port::this_cpu();
            run_all();
            machine.set_cpu(here);
        };
    }

    void TearDown() override {
        core::pause_domain(domain);
        run_all();
        HypercallTest::TearDown();
    }

    s64 pool_op(xen_sysctl_cpupool_op arg) {
        xen_sysctl_t s{};
        set_handle(arg.cpumap.bitmap, at(kHard));
        arg.cpumap.nr_bits = 8;
        s.u.cpupool_op = arg;
        const s64 result = sysctl(XEN_SYSCTL_cpupool_op, s);
        pool = s.u.cpupool_op;
        return result;
    }
    s64 pool_op(u32 op, u32 id, u32 sched = 0, u32 domain_id = 0, u32 cpu = 0) {
        xen_sysctl_cpupool_op arg{};
        arg.op = op;
        arg.cpupool_id = id;
        arg.sched_id = sched;
        arg.domid = domain_id;
        arg.cpu = cpu;
        return pool_op(arg);
    }
    s64 create(u32 id, u32 sched) { return pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, id, sched); }
    s64 destroy_pool(u32 id) { return pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, id); }
    s64 add(u32 id, u32 cpu) { return pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, id, 0, 0, cpu); }
    s64 remove(u32 id, u32 cpu) { return pool_op(XEN_SYSCTL_CPUPOOL_OP_RMCPU, id, 0, 0, cpu); }
    s64 move(u32 id, u32 domain_id) { return pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, id, 0, domain_id); }
    s64 info(u32 id) { return pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, id); }
    u8 free_cpus() {
        EXPECT_EQ(pool_op(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0), 0);
        return get<u8>(kHard);
    }
    u8 cpus_of(u32 id) {
        EXPECT_EQ(info(id), 0);
        return get<u8>(kHard);
    }

    s64 domctl(u32 command, u16 id, xen_domctl_t& d) {
        d.domain = id;
        return control(__HYPERVISOR_domctl, XEN_DOMCTL_INTERFACE_VERSION, command, d);
    }
    struct Sets {
        u64 hard = 0, soft = 0;
        bool operator==(const Sets&) const = default;
    };
    s64 affinity(u32 command, u16 id, u32 vcpu_id, u32 flags, Sets& sets, u32 bits = 64) {
        xen_domctl_t d{};
        auto& a = d.u.vcpuaffinity;
        a.vcpu = vcpu_id;
        a.flags = flags;
        set_handle(a.cpumap_hard.bitmap, at(kHard));
        set_handle(a.cpumap_soft.bitmap, at(kSoft));
        a.cpumap_hard.nr_bits = a.cpumap_soft.nr_bits = bits;
        put(kHard, sets.hard);
        put(kSoft, sets.soft);
        const s64 result = domctl(command, id, d);
        sets = {get<u64>(kHard), get<u64>(kSoft)};
        return result;
    }
    s64 set(u16 id, u32 vcpu_id, u32 flags, Sets& sets, u32 bits = 64) {
        return affinity(XEN_DOMCTL_setvcpuaffinity, id, vcpu_id, flags, sets, bits);
    }
    Sets nominal(u16 id, u32 vcpu_id) {
        Sets s;
        EXPECT_EQ(affinity(XEN_DOMCTL_getvcpuaffinity, id, vcpu_id, kBoth, s), 0);
        return s;
    }
    static constexpr u32 kHardFlag = XEN_VCPUAFFINITY_HARD, kSoftFlag = XEN_VCPUAFFINITY_SOFT;
    static constexpr u32 kBoth = kHardFlag | kSoftFlag;

    s64 share(u16 id, u32 sched, u32 command, u16& weight, u16& cap) {
        xen_domctl_t d{};
        d.u.scheduler_op.sched_id = sched;
        d.u.scheduler_op.cmd = command;
        d.u.scheduler_op.u.credit2 = {.weight = weight, .cap = cap};
        const s64 result = domctl(XEN_DOMCTL_scheduler_op, id, d);
        weight = d.u.scheduler_op.u.credit2.weight;
        cap = d.u.scheduler_op.u.credit2.cap;
        return result;
    }
    s64 put_share(u16 id, u16 weight, u16 cap) {
        return share(id, XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_putinfo, weight, cap);
    }
    std::pair<u16, u16> get_share(u16 id) {
        u16 weight = 0, cap = 0;
        EXPECT_EQ(share(id, XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getinfo, weight, cap), 0);
        return {weight, cap};
    }
    s64 parameters(u32 id, u32 sched, u32 command, u32& us) {
        xen_sysctl_t s{};
        s.u.scheduler_op.cpupool_id = id;
        s.u.scheduler_op.sched_id = sched;
        s.u.scheduler_op.cmd = command;
        s.u.scheduler_op.u.sched_credit2.ratelimit_us = us;
        const s64 result = sysctl(XEN_SYSCTL_scheduler_op, s);
        us = s.u.scheduler_op.u.sched_credit2.ratelimit_us;
        return result;
    }

    // Waiting for another CPU would be for ever here: it must have let go of the domain before.
    s64 move_running(u32 id, Domain& d) {
        core::pause_domain(d);
        run_all();
        const s64 result = move(id, d.id.v);
        core::unpause_domain(d);
        return result;
    }
    void destroy_running(Domain& d) {
        core::pause_domain(d);
        run_all();
        destroy(d);
    }
    static u32 vcpu_on(const Domain& d) { return d.vcpu(VcpuId(0))->sched.cpu.v; }

    xen_sysctl_cpupool_op pool{};
};

}  // namespace domus::hypercall
