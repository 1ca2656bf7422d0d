// SPDX-License-Identifier: GPL-2.0-or-later
// Pools of CPUs, where vCPUs run and how much, as the toolstack sets them. Errors are the reference's where
// it was asked.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/affinity.hpp"
#include "core/cpupool.hpp"
#include "sched/arinc653.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

class CpuPools : public HypercallTest {
  protected:
    static constexpr u64 kOp = 0, kHard = 0x1000, kSoft = 0x1100, kList = 0x2000;
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
        s.cmd = XEN_SYSCTL_cpupool_op;
        s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        set_handle(arg.cpumap.bitmap, at(kHard));
        arg.cpumap.nr_bits = 8;
        s.u.cpupool_op = arg;
        put(kOp, s);
        const s64 result = run(__HYPERVISOR_sysctl, at(kOp));
        pool = get<xen_sysctl_t>(kOp).u.cpupool_op;
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
        d.cmd = command;
        d.domain = id;
        d.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        put(kOp, d);
        const s64 result = run(__HYPERVISOR_domctl, at(kOp));
        d = get<xen_domctl_t>(kOp);
        return result;
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
        s.cmd = XEN_SYSCTL_scheduler_op;
        s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        s.u.scheduler_op.cpupool_id = id;
        s.u.scheduler_op.sched_id = sched;
        s.u.scheduler_op.cmd = command;
        s.u.scheduler_op.u.sched_credit2.ratelimit_us = us;
        put(kOp, s);
        const s64 result = run(__HYPERVISOR_sysctl, at(kOp));
        us = get<xen_sysctl_t>(kOp).u.scheduler_op.u.sched_credit2.ratelimit_us;
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

// ---- pools ----------------------------------------------------------------------------------------

TEST_F(CpuPools, PoolsAreMadeAndWalked) {
    EXPECT_EQ(create(kAny, 77), -ENOENT);
    EXPECT_EQ(create(0, XEN_SCHEDULER_CREDIT2), -EEXIST);
    EXPECT_EQ(create(5, XEN_SCHEDULER_CREDIT2), 0);
    EXPECT_EQ(create(5, XEN_SCHEDULER_CREDIT2), -EEXIST);
    EXPECT_EQ(create(kAny, XEN_SCHEDULER_RTDS), 0);
    EXPECT_EQ(pool.cpupool_id, 6u);
    EXPECT_EQ(info(1), 0);
    EXPECT_EQ(pool.cpupool_id, 5u) << "the next one";
    EXPECT_EQ(pool.n_dom, 0u);
    EXPECT_EQ(info(6), 0);
    EXPECT_EQ(pool.sched_id, u32{XEN_SCHEDULER_RTDS});
    EXPECT_EQ(info(7), -ENOENT);
    EXPECT_EQ(destroy_pool(0), -EBUSY);
    EXPECT_EQ(destroy_pool(99), -ENOENT);
    const u64 memory = objects_bytes_in_use();
    EXPECT_EQ(destroy_pool(5), 0);
    EXPECT_EQ(destroy_pool(6), 0);
    EXPECT_EQ(info(1), -ENOENT);
    quiesce();
    EXPECT_LT(objects_bytes_in_use(), memory);
}

TEST_F(CpuPools, CpusChangePools) {
    ASSERT_EQ(create(5, XEN_SCHEDULER_CREDIT2), 0);
    EXPECT_EQ(add(5, 1), -ENODEV) << "not free";
    EXPECT_EQ(add(5, kAny), -ENODEV);
    EXPECT_EQ(add(5, 999), -EINVAL);
    EXPECT_EQ(free_cpus(), 0);
    EXPECT_EQ(remove(0, 1), 0);
    EXPECT_EQ(again_count, 1u) << "the CPU had a vCPU to get rid of";
    EXPECT_EQ(free_cpus(), 2);
    EXPECT_EQ(cpus_of(0), 1);
    EXPECT_EQ(add(99, 1), -ENOENT);
    EXPECT_EQ(remove(0, 1), -EADDRNOTAVAIL);
    EXPECT_EQ(remove(0, 0), -EBUSY) << "dom0 needs it";
    EXPECT_EQ(remove(0, 999), -EINVAL);
    EXPECT_EQ(remove(99, 0), -ENOENT);
    EXPECT_EQ(remove(5, kAny), -ENODEV);
    EXPECT_EQ(add(5, kAny), 0);
    EXPECT_EQ(cpus_of(5), 2);
    EXPECT_EQ(cpus_of(0), 1);
    EXPECT_EQ(free_cpus(), 0);
    EXPECT_EQ(destroy_pool(5), -EBUSY);
    EXPECT_EQ(remove(5, kAny), 0);
    EXPECT_EQ(destroy_pool(5), 0);
    EXPECT_EQ(add(0, 1), 0);
    EXPECT_EQ(cpus_of(0), 3);
}

// The CPU that the caller itself runs on.
TEST_F(CpuPools, TheCallersCpuLeaves) {
    const u32 here = vcpu.sched.cpu.v;
    machine.set_cpu(vcpu.sched.cpu);
    EXPECT_EQ(remove(0, here), 0);
    EXPECT_GE(again_count, 1u);
    machine.set_cpu(CpuId(0));
    EXPECT_EQ(free_cpus(), 1u << here);
    for (int i = 0; i < 50; i++) advance(kMillisecond);
    EXPECT_EQ(vcpu.sched.cpu.v, here ^ 1) << "it goes on elsewhere";
    EXPECT_EQ(add(0, here), 0);
}

TEST_F(CpuPools, DomainsChangePools) {
    Domain& guest = make_running(7, 2);
    run_all();
    ASSERT_EQ(create(5, XEN_SCHEDULER_RTDS), 0);
    EXPECT_EQ(move(5, 7), -ENOENT) << "no CPU there";
    ASSERT_EQ(remove(0, 1), 0);
    ASSERT_EQ(add(5, 1), 0);
    EXPECT_EQ(move(5, 0), -EPERM) << "the caller's own";
    EXPECT_EQ(move(5, 1000), -ESRCH);
    EXPECT_EQ(move(5, 0x17ff0), -ESRCH);
    EXPECT_EQ(move(99, 7), -ENOENT);
    Sets s{1, 3};
    EXPECT_EQ(set(7, 1, kHardFlag, s), 0);
    EXPECT_EQ(put_share(7, 512, 50), 0);
    EXPECT_EQ(move_running(5, guest), 0);
    EXPECT_EQ(info(5), 0);
    EXPECT_EQ(pool.n_dom, 1u);
    EXPECT_EQ(info(0), 0);
    EXPECT_EQ(pool.n_dom, 1u);
    EXPECT_EQ(guest.pause_count, 0u);
    EXPECT_EQ(nominal(7, 1).hard, 3u) << "it could run on none of the pool's CPUs";
    run_all();
    EXPECT_EQ(vcpu_on(guest), 1u);
    EXPECT_EQ(remove(5, 1), -EBUSY);
    EXPECT_EQ(destroy_pool(5), -EBUSY);
    EXPECT_EQ(move_running(0, guest), 0);
    EXPECT_EQ(get_share(7), (std::pair<u16, u16>{256, 0})) << "a new scheduler's defaults";
    EXPECT_EQ(remove(5, 1), 0);
    EXPECT_EQ(destroy_pool(5), 0);
    EXPECT_EQ(add(0, 1), 0);
    destroy_running(guest);
    EXPECT_EQ(info(0), 0);
    EXPECT_EQ(pool.n_dom, 1u);
}

TEST_F(CpuPools, ADomainIsBornInAPool) {
    ASSERT_EQ(create(5, XEN_SCHEDULER_CREDIT2), 0);
    ASSERT_EQ(remove(0, 1), 0);
    ASSERT_EQ(add(5, 1), 0);
    EXPECT_FALSE(core::create_domain(DomId(8), {.max_vcpus = 1, .max_pages = 10, .cpupool = 99}));
    Domain& guest = make_running(7, 1, {.cpupool = 5});
    run_all();
    EXPECT_EQ(vcpu_on(guest), 1u);
    EXPECT_EQ(info(5), 0);
    EXPECT_EQ(pool.n_dom, 1u);
    destroy_running(guest);
    EXPECT_EQ(info(5), 0);
    EXPECT_EQ(pool.n_dom, 0u);
    EXPECT_EQ(remove(5, 1), 0);
    EXPECT_EQ(destroy_pool(5), 0);
}

TEST_F(CpuPools, AVcpuOutlivesItsCpu) {
    Sets s{2, 3};
    ASSERT_EQ(set(0, 1, kHardFlag, s), 0);
    EXPECT_EQ(remove(0, 1), 0);
    EXPECT_EQ(nominal(0, 1).hard, 3u) << "it may run anywhere now";
    s = {2, 3};
    EXPECT_EQ(set(0, 1, kHardFlag, s), -EINVAL) << "that CPU is gone";
    EXPECT_EQ(add(0, 1), 0);
    EXPECT_EQ(set(0, 1, kHardFlag, s), 0);
}

TEST_F(CpuPools, NoMemoryIsNoHarm) {
    for (u64 n = 0; n < 4; n++) {
        heap_fail_after(n);
        const s64 made = create(5, XEN_SCHEDULER_ARINC653);
        heap_fail_after(~u64{0} - 1);
        EXPECT_TRUE(made == 0 || made == -ENOMEM) << made;
        if (made == 0) {
            EXPECT_EQ(destroy_pool(5), 0);
        }
        quiesce();
        EXPECT_EQ(info(1), -ENOENT);
    }
}

// ---- affinity -------------------------------------------------------------------------------------

TEST_F(CpuPools, AffinityAsTheReferenceHasIt) {
    EXPECT_EQ(nominal(0, 0), (Sets{3, 3}));
    Sets s{3, 3};
    EXPECT_EQ(set(0, 0, 0, s), -EINVAL);
    s = {1, 0};
    EXPECT_EQ(set(0, 0, kHardFlag, s), 0);
    EXPECT_EQ(s.hard, 1u);
    EXPECT_EQ(nominal(0, 0), (Sets{1, 3}));
    for (const u64 none : {u64{0}, u64{0xf00}}) {
        s = {none, 0};
        EXPECT_EQ(set(0, 0, kHardFlag, s), -EINVAL);
    }
    s = {0xf02, 0};
    EXPECT_EQ(set(0, 0, kHardFlag, s, 16), 0);
    EXPECT_EQ(s.hard, 2u) << "what is in force comes back";
    s = {0, 1};
    EXPECT_EQ(set(0, 0, kSoftFlag, s), 0);
    EXPECT_EQ(s.soft, 0u) << "outside the hard one";
    EXPECT_EQ(nominal(0, 0), (Sets{2, 1}));
    s = {3, 2};
    EXPECT_EQ(set(0, 0, kBoth, s), 0);
    EXPECT_EQ(s, (Sets{3, 2}));
    s = {~u64{0}, ~u64{0}};
    EXPECT_EQ(set(0, 0, kBoth, s), 0);
    EXPECT_EQ(nominal(0, 0), (Sets{3, 3}));
    s = {0x100, 1};
    EXPECT_EQ(set(0, 0, kBoth, s), -EINVAL);
    EXPECT_EQ(nominal(0, 0), (Sets{3, 3})) << "all or nothing";
    s = {3, 0};
    EXPECT_EQ(set(0, 0, kHardFlag, s, 0), -EINVAL) << "no bits, no CPUs";
    EXPECT_EQ(set(0, 99, kHardFlag, s), -EINVAL);
    EXPECT_EQ(set(1000, 0, kHardFlag, s), -ESRCH);
    EXPECT_EQ(affinity(XEN_DOMCTL_getvcpuaffinity, 0, 0, 0, s), -EINVAL);
    EXPECT_EQ(affinity(XEN_DOMCTL_getvcpuaffinity, 0, 99, kBoth, s), -EINVAL);
}

TEST_F(CpuPools, AffinityIsObeyed) {
    for (const u64 only : {u64{1}, u64{2}, u64{1}}) {
        Sets s{only, 0};
        ASSERT_EQ(set(0, 1, kHardFlag, s), 0);
        for (int i = 0; i < 30; i++) advance(kMillisecond);
        EXPECT_EQ(domain.vcpu(VcpuId(1))->sched.cpu.v, only - 1);
    }
}

TEST_F(CpuPools, OverrideHidesTheHardOne) {
    const auto pin = [&](s32 cpu) {
        put(kOp, sched_pin_override_t{.pcpu = cpu});
        return run(__HYPERVISOR_sched_op, SCHEDOP_pin_override, at(kOp));
    };
    EXPECT_EQ(pin(-1), -ENOENT);
    EXPECT_EQ(pin(7), -EINVAL);
    EXPECT_EQ(pin(1), 0);
    EXPECT_EQ(nominal(0, 0), (Sets{3, 3}));
    EXPECT_EQ(pin(0), -EBUSY);
    Sets s{1, 0};
    EXPECT_EQ(set(0, 0, kHardFlag, s), -EBUSY);
    EXPECT_EQ(remove(0, 1), -EADDRINUSE);
    for (int i = 0; i < 30; i++) advance(kMillisecond);
    EXPECT_EQ(vcpu.sched.cpu.v, 1u);
    machine.set_cpu(vcpu.sched.cpu);
    EXPECT_EQ(pin(-1), 0);
    EXPECT_EQ(nominal(0, 0), (Sets{3, 3}));
    EXPECT_EQ(pin(1), 0);
    EXPECT_EQ(set(0, 0, kHardFlag | XEN_VCPUAFFINITY_FORCE, s), 0);
    EXPECT_EQ(nominal(0, 0).hard, 1u);
    EXPECT_EQ(pin(-1), -ENOENT);

    Domain& guest = make_running(7, 1);
    for (int i = 0; i < 100 && !guest.vcpu(VcpuId(0))->sched.running; i++) advance(kMillisecond);
    act_as(*guest.vcpu(VcpuId(0)));
    put(kOp, sched_pin_override_t{.pcpu = 0});
    EXPECT_EQ(run_as(*guest.vcpu(VcpuId(0)), __HYPERVISOR_sched_op, SCHEDOP_pin_override, at(kOp)), -EPERM);
    machine.set_cpu(CpuId(0));
}

TEST_F(CpuPools, NodeAffinity) {
    xen_domctl_t d{};
    const auto ask = [&](u32 command, u64 nodes) {
        set_handle(d.u.nodeaffinity.nodemap.bitmap, at(kHard));
        d.u.nodeaffinity.nodemap.nr_bits = 64;
        put(kHard, nodes);
        return domctl(command, 0, d);
    };
    const auto now = [&] {
        EXPECT_EQ(ask(XEN_DOMCTL_getnodeaffinity, 0), 0);
        return get<u64>(kHard);
    };
    EXPECT_EQ(now(), 1u);
    EXPECT_EQ(ask(XEN_DOMCTL_setnodeaffinity, 0), -EINVAL);
    EXPECT_EQ(ask(XEN_DOMCTL_setnodeaffinity, 2), -EINVAL);
    EXPECT_EQ(ask(XEN_DOMCTL_setnodeaffinity, 3), 0);
    EXPECT_EQ(now(), 3u);
    EXPECT_EQ(ask(XEN_DOMCTL_setnodeaffinity, ~u64{0}), 0);
    EXPECT_EQ(now(), 1u);
}

// ---- shares ---------------------------------------------------------------------------------------

TEST_F(CpuPools, WeightAndCap) {
    EXPECT_EQ(get_share(0), (std::pair<u16, u16>{256, 0}));
    EXPECT_EQ(put_share(0, 0, 50), 0) << "weight 0: stays";
    EXPECT_EQ(get_share(0), (std::pair<u16, u16>{256, 50}));
    EXPECT_EQ(put_share(0, 512, 0xffff), -EINVAL);
    EXPECT_EQ(put_share(0, 512, 50), 0);
    EXPECT_EQ(get_share(0), (std::pair<u16, u16>{512, 50}));
    EXPECT_EQ(put_share(0, 300, 250), -EINVAL) << "more than two vCPUs can use";
    EXPECT_EQ(get_share(0), (std::pair<u16, u16>{512, 50})) << "all or nothing";
    EXPECT_EQ(put_share(0, 256, 200), 0);
    EXPECT_EQ(put_share(0, 256, 0), 0);
    u16 w = 1, c = 1;
    for (const u32 other : {XEN_SCHEDULER_CREDIT, XEN_SCHEDULER_RTDS, XEN_SCHEDULER_NULL})
        EXPECT_EQ(share(0, other, XEN_DOMCTL_SCHEDOP_getinfo, w, c), -EINVAL);
    for (const u32 command : {u32{XEN_DOMCTL_SCHEDOP_putvcpuinfo}, u32{XEN_DOMCTL_SCHEDOP_getvcpuinfo}, 9u})
        EXPECT_EQ(share(0, XEN_SCHEDULER_CREDIT2, command, w, c), -EINVAL);
    EXPECT_EQ(share(1000, XEN_SCHEDULER_CREDIT2, XEN_DOMCTL_SCHEDOP_getinfo, w, c), -ESRCH);
}

TEST_F(CpuPools, ACapStopsTheDomain) {
    Domain& guest = make_running(7, 1);
    Sets s{2, 2};
    ASSERT_EQ(set(7, 0, kHardFlag, s), 0);
    s = {1, 1};
    ASSERT_EQ(set(0, 0, kHardFlag, s), 0);
    s = {1, 1};
    ASSERT_EQ(set(0, 1, kHardFlag, s), 0);
    ASSERT_EQ(put_share(7, 256, 20), 0);
    for (int i = 0; i < 200; i++) advance(kMillisecond / 2);
    const auto ran = [&] {
        return core::scheduler().run_times(guest.vcpu(VcpuId(0))->sched, machine.now).time[0];
    };
    const Nanos before = ran();
    for (int i = 0; i < 2000; i++) advance(kMillisecond / 2);
    EXPECT_NEAR(static_cast<double>(ran() - before) / kSecond, 0.2, 0.02);
}

TEST_F(CpuPools, Reservations) {
    Domain& guest = make_running(7, 2);
    ASSERT_EQ(create(5, XEN_SCHEDULER_RTDS), 0);
    ASSERT_EQ(remove(0, 1), 0);
    ASSERT_EQ(add(5, 1), 0);
    ASSERT_EQ(move_running(5, guest), 0);
    xen_domctl_t d{};
    auto& op = d.u.scheduler_op;
    const auto call = [&](u32 command) {
        op.sched_id = XEN_SCHEDULER_RTDS;
        op.cmd = command;
        return domctl(XEN_DOMCTL_scheduler_op, 7, d);
    };
    ASSERT_EQ(call(XEN_DOMCTL_SCHEDOP_getinfo), 0);
    EXPECT_EQ(op.u.rtds.period, 10'000u);
    EXPECT_EQ(op.u.rtds.budget, 4'000u);
    op.u.rtds = {.period = 20'000, .budget = 5'000, .flags = XEN_DOMCTL_SCHEDRT_extra};
    ASSERT_EQ(call(XEN_DOMCTL_SCHEDOP_putinfo), 0);
    op.u.rtds = {.period = 1'000, .budget = 5'000, .flags = 0};
    EXPECT_EQ(call(XEN_DOMCTL_SCHEDOP_putinfo), -EINVAL);

    xen_domctl_schedparam_vcpu_t one{};
    one.vcpuid = 1;
    one.u.rtds = {.period = 50'000, .budget = 10'000, .flags = 0};
    put(kList, std::vector{one});
    set_handle(op.u.v.vcpus, at(kList));
    op.u.v.nr_vcpus = 1;
    ASSERT_EQ(call(XEN_DOMCTL_SCHEDOP_putvcpuinfo), 0);
    xen_domctl_schedparam_vcpu_t two{};
    two.vcpuid = 0;
    put(kList, std::vector{two, one});
    op.u.v.nr_vcpus = 2;
    ASSERT_EQ(call(XEN_DOMCTL_SCHEDOP_getvcpuinfo), 0);
    const auto list = get<xen_domctl_schedparam_vcpu_t>(kList, 2);
    EXPECT_EQ(list[0].u.rtds.period, 20'000u);
    EXPECT_EQ(list[0].u.rtds.budget, 5'000u);
    EXPECT_EQ(list[0].u.rtds.flags, u32{XEN_DOMCTL_SCHEDRT_extra});
    EXPECT_EQ(list[1].u.rtds.period, 50'000u);
    EXPECT_EQ(list[1].u.rtds.flags, 0u);
    op.u.v.nr_vcpus = 3;
    EXPECT_EQ(call(XEN_DOMCTL_SCHEDOP_getvcpuinfo), -EINVAL) << "more than it has";
    op.u.v.nr_vcpus = 1;
    set_handle(op.u.v.vcpus, 0);
    EXPECT_EQ(call(XEN_DOMCTL_SCHEDOP_getvcpuinfo), -EFAULT);
    two.vcpuid = 9;
    put(kList, two);
    set_handle(op.u.v.vcpus, at(kList));
    EXPECT_EQ(call(XEN_DOMCTL_SCHEDOP_getvcpuinfo), -EINVAL);
    destroy_running(guest);
}

TEST_F(CpuPools, RateLimit) {
    u32 us = 0;
    EXPECT_EQ(parameters(0, XEN_SCHEDULER_CREDIT2, XEN_SYSCTL_SCHEDOP_getinfo, us), 0);
    EXPECT_EQ(us, 1000u);
    us = 2000;
    EXPECT_EQ(parameters(0, XEN_SCHEDULER_CREDIT2, XEN_SYSCTL_SCHEDOP_putinfo, us), 0);
    for (u32 bad : {50u, 600'000u})
        EXPECT_EQ(parameters(0, XEN_SCHEDULER_CREDIT2, XEN_SYSCTL_SCHEDOP_putinfo, bad), -EINVAL);
    us = 0;
    EXPECT_EQ(parameters(0, XEN_SCHEDULER_CREDIT2, XEN_SYSCTL_SCHEDOP_getinfo, us), 0);
    EXPECT_EQ(us, 2000u);
    EXPECT_EQ(core::scheduler().params().ratelimit, 2 * kMillisecond);
    EXPECT_EQ(parameters(0, XEN_SCHEDULER_CREDIT2, 5, us), -EINVAL);
    EXPECT_EQ(parameters(9, XEN_SCHEDULER_CREDIT2, XEN_SYSCTL_SCHEDOP_getinfo, us), -ESRCH);
    EXPECT_EQ(parameters(kAny, XEN_SCHEDULER_CREDIT2, XEN_SYSCTL_SCHEDOP_getinfo, us), -ESRCH);
    for (const u32 other : {XEN_SCHEDULER_CREDIT, XEN_SCHEDULER_RTDS, XEN_SCHEDULER_ARINC653})
        EXPECT_EQ(parameters(0, other, XEN_SYSCTL_SCHEDOP_getinfo, us), -EINVAL);
}

TEST_F(CpuPools, ArincSchedule) {
    ASSERT_EQ(create(5, XEN_SCHEDULER_ARINC653), 0);
    xen_sysctl_t s{};
    const auto call = [&](u32 command) {
        s.cmd = XEN_SYSCTL_scheduler_op;
        s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        s.u.scheduler_op.cpupool_id = 5;
        s.u.scheduler_op.sched_id = XEN_SCHEDULER_ARINC653;
        s.u.scheduler_op.cmd = command;
        set_handle(s.u.scheduler_op.u.sched_arinc653.schedule, at(kList));
        put(kOp, s);
        return run(__HYPERVISOR_sysctl, at(kOp));
    };
    xen_sysctl_arinc653_schedule_t table{};
    table.major_frame = 10'000'000;
    table.num_sched_entries = 2;
    table.sched_entries[0].dom_handle[3] = 9;
    table.sched_entries[0].runtime = 4'000'000;
    table.sched_entries[1].vcpu_id = 1;
    table.sched_entries[1].runtime = 6'000'000;
    put(kList, table);
    ASSERT_EQ(call(XEN_SYSCTL_SCHEDOP_putinfo), 0);
    put(kList, xen_sysctl_arinc653_schedule_t{});
    ASSERT_EQ(call(XEN_SYSCTL_SCHEDOP_getinfo), 0);
    const auto read = get<xen_sysctl_arinc653_schedule_t>(kList);
    EXPECT_EQ(std::memcmp(&read, &table, sizeof table), 0);
    table.num_sched_entries = 200;
    put(kList, table);
    EXPECT_EQ(call(XEN_SYSCTL_SCHEDOP_putinfo), -EINVAL);
    table.num_sched_entries = 2;
    table.sched_entries[1].runtime = ~u64{0};
    put(kList, table);
    EXPECT_EQ(call(XEN_SYSCTL_SCHEDOP_putinfo), -EINVAL);
    EXPECT_EQ(destroy_pool(5), 0);
}

// ---- CPUs that come and go ------------------------------------------------------------------------

class Hotplug : public CpuPools {
  protected:
    s64 sysctl(u32 command, xen_sysctl_t& s) {
        s.cmd = command;
        s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        put(kOp, s);
        const s64 result = run(__HYPERVISOR_sysctl, at(kOp));
        s = get<xen_sysctl_t>(kOp);
        return result;
    }
    s64 plug(u32 op, u32 cpu) {
        xen_sysctl_t s{};
        s.u.cpu_hotplug.cpu = cpu;
        s.u.cpu_hotplug.op = op;
        return sysctl(XEN_SYSCTL_cpu_hotplug, s);
    }
    s64 platform_call(u32 command, xen_platform_op_t& p) {
        p.cmd = command;
        p.interface_version = XENPF_INTERFACE_VERSION;
        put(kOp, p);
        const s64 result = run(__HYPERVISOR_platform_op, at(kOp));
        p = get<xen_platform_op_t>(kOp);
        return result;
    }
    s64 power(u32 command, u32 cpu, u32& value) {
        xen_sysctl_t s{};
        s.u.pm_op.cmd = command;
        s.u.pm_op.cpuid = cpu;
        s.u.pm_op.u.get_max_cstate = value;
        const s64 result = sysctl(XEN_SYSCTL_pm_op, s);
        value = s.u.pm_op.u.get_max_cstate;
        return result;
    }
    static constexpr u32 kOn = XEN_SYSCTL_CPU_HOTPLUG_ONLINE, kOff = XEN_SYSCTL_CPU_HOTPLUG_OFFLINE;
};

TEST_F(Hotplug, OfflineAndBack) {
    EXPECT_EQ(plug(kOff, 0), -EINVAL);
    EXPECT_EQ(plug(kOff, 99), -EINVAL);
    EXPECT_EQ(plug(kOn, 99), -EINVAL);
    EXPECT_EQ(plug(kOn, 1), -EEXIST);
    EXPECT_EQ(plug(XEN_SYSCTL_CPU_HOTPLUG_SMT_ENABLE, 0), -EOPNOTSUPP);
    EXPECT_EQ(plug(7, 0), -EOPNOTSUPP);
    EXPECT_EQ(plug(kOff, 1), 0);
    EXPECT_EQ(plug(kOff, 1), 0) << "it is already";

    xen_sysctl_t s{};
    ASSERT_EQ(sysctl(XEN_SYSCTL_physinfo, s), 0);
    EXPECT_EQ(s.u.physinfo.nr_cpus, 1u);
    EXPECT_EQ(s.u.physinfo.max_cpu_id, 1u);
    s = {};
    s.u.cputopoinfo.num_cpus = 2;
    set_handle(s.u.cputopoinfo.cputopo, at(kList));
    ASSERT_EQ(sysctl(XEN_SYSCTL_cputopoinfo, s), 0);
    EXPECT_EQ(get<u32>(kList, 6), (std::vector<u32>{0, 0, 0, ~0u, ~0u, 0}));
    EXPECT_EQ(cpus_of(0), 1);
    EXPECT_EQ(free_cpus(), 0) << "nobody may have it";
    EXPECT_EQ(add(0, 1), -ENODEV);
    xen_platform_op_t p{};
    p.u.pcpu_info.xen_cpuid = 1;
    ASSERT_EQ(platform_call(XENPF_get_cpuinfo, p), 0);
    EXPECT_EQ(p.u.pcpu_info.flags, 0u);
    Sets only{2, 2};
    EXPECT_EQ(set(0, 0, kHardFlag, only), -EINVAL);

    EXPECT_EQ(plug(kOn, 1), 0);
    EXPECT_EQ(cpus_of(0), 3);
    p.u.pcpu_info.xen_cpuid = 1;
    ASSERT_EQ(platform_call(XENPF_get_cpuinfo, p), 0);
    EXPECT_EQ(p.u.pcpu_info.flags, u32{XEN_PCPU_FLAGS_ONLINE});
    for (int i = 0; i < 50; i++) advance(kMillisecond);
    EXPECT_NE(core::scheduler().current(CpuId(1)), nullptr) << "it works again";
}

TEST_F(Hotplug, FromAnotherPoolOrNone) {
    ASSERT_EQ(create(5, XEN_SCHEDULER_CREDIT2), 0);
    ASSERT_EQ(remove(0, 1), 0);
    EXPECT_EQ(plug(kOff, 1), 0) << "free";
    EXPECT_EQ(plug(kOn, 1), 0);
    ASSERT_EQ(remove(0, 1), 0);
    ASSERT_EQ(add(5, 1), 0);
    EXPECT_EQ(plug(kOff, 1), 0);
    EXPECT_EQ(destroy_pool(5), 0);
    EXPECT_EQ(plug(kOn, 1), 0);
    EXPECT_EQ(cpus_of(0), 3);
}

TEST_F(Hotplug, AsTheHardwareDomainDoesIt) {
    xen_platform_op_t p{};
    p.u.cpu_ol.cpuid = 1;
    EXPECT_EQ(platform_call(XENPF_cpu_online, p), 0) << "it is";
    p.u.cpu_ol.cpuid = 77;
    EXPECT_EQ(platform_call(XENPF_cpu_online, p), -EINVAL);
    EXPECT_EQ(platform_call(XENPF_cpu_offline, p), -EINVAL);
    p.u.cpu_ol.cpuid = 0;
    EXPECT_EQ(platform_call(XENPF_cpu_offline, p), -EOPNOTSUPP);
    p.u.cpu_ol.cpuid = 1;
    EXPECT_EQ(platform_call(XENPF_cpu_offline, p), 0);
    EXPECT_EQ(core::online_cpus(), 1u);
    p.u.cpu_ol.cpuid = 1;
    EXPECT_EQ(platform_call(XENPF_cpu_online, p), 0);
    EXPECT_EQ(core::online_cpus(), 2u);
    p.u.cpu_add = {};
    EXPECT_EQ(platform_call(XENPF_cpu_hotadd, p), -EINVAL);
    p = {};
    p.u.core_parking.type = XEN_CORE_PARKING_GET;
    EXPECT_EQ(platform_call(XENPF_core_parking, p), 0);
    EXPECT_EQ(p.u.core_parking.idle_nums, 0u);
    p.u.core_parking.type = XEN_CORE_PARKING_SET;
    p.u.core_parking.idle_nums = 1;
    EXPECT_EQ(platform_call(XENPF_core_parking, p), -ENOSYS);
    p.u.core_parking.type = 9;
    EXPECT_EQ(platform_call(XENPF_core_parking, p), -EINVAL);
}

TEST_F(Hotplug, PowerInformation) {
    u32 value = 0;
    for (u32 op : {GET_CPUFREQ_PARA, SET_CPUFREQ_GOV, SET_CPUFREQ_PARA, GET_CPUFREQ_AVGFREQ})
        EXPECT_EQ(power(op, 0, value), -EINVAL);
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_get_max_cstate, 0, value), 0);
    EXPECT_EQ(value, 1u);
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_get_max_cstate, 99, value), -EINVAL);
    value = 3;
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_set_max_cstate, 0, value), 0);
    value = 0;
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_set_max_cstate, 0, value), -EOPNOTSUPP);
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_enable_turbo, 0, value), -EACCES);
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_get_vcpu_migration_delay, 0, value), -ENOSYS);
    EXPECT_EQ(power(0, 0, value), -ENOSYS);

    xen_sysctl_t s{};
    const auto ask = [&](u32 type, u32 cpu) {
        s.u.get_pmstat.type = type;
        s.u.get_pmstat.cpuid = cpu;
        return sysctl(XEN_SYSCTL_get_pmstat, s);
    };
    EXPECT_EQ(ask(PMSTAT_get_max_px, 0), -ENODEV);
    EXPECT_EQ(ask(PMSTAT_get_max_cx, 99), -EINVAL);
    ASSERT_EQ(ask(PMSTAT_get_max_cx, 0), 0);
    EXPECT_EQ(s.u.get_pmstat.u.getcx.nr, 2u);
    idle(1);
    advance(5 * kMillisecond);
    set_handle(s.u.get_pmstat.u.getcx.triggers, at(kHard));
    set_handle(s.u.get_pmstat.u.getcx.residencies, at(kSoft));
    put(kSoft, std::vector<u64>(3, 77));
    ASSERT_EQ(ask(PMSTAT_get_cxstat, 1), 0);
    EXPECT_GE(get<u64>(kHard, 2)[1], 1u);
    const auto times = get<u64>(kSoft, 3);
    EXPECT_GE(times[1], 5'000'000u);
    EXPECT_EQ(times[0] + times[1], static_cast<u64>(machine.now));
    EXPECT_EQ(times[2], 77u);
    EXPECT_EQ(s.u.get_pmstat.u.getcx.idle_time, times[1]);
}

TEST_F(Hotplug, ProcessorPowerStatesAreHeard) {
    xen_platform_op_t p{};
    auto& info = p.u.set_pminfo;
    const auto call = [&](u32 type, u32 id) {
        info.type = type;
        info.id = id;
        return platform_call(XENPF_set_processor_pminfo, p);
    };
    EXPECT_EQ(call(XEN_PM_CX, port::acpi_id(CpuId(1))), 0);
    EXPECT_EQ(call(XEN_PM_PX, port::acpi_id(CpuId(0))), 0);
    EXPECT_EQ(call(XEN_PM_CX, 5000), -EINVAL);
    EXPECT_EQ(call(XEN_PM_TX, 0), -ENOSYS);
    put(kList, std::vector<u32>{1, 1, 0x3fff});
    set_handle(info.u.pdc, at(kList));
    EXPECT_EQ(call(XEN_PM_PDC, 0), 0);
    EXPECT_EQ(get<u32>(kList + 8) & 1u, 0u) << "no native performance states";
    EXPECT_NE(get<u32>(kList + 8), 0u);
    put(kList, std::vector<u32>{1, 0, 0x3fff});
    EXPECT_EQ(call(XEN_PM_PDC, 0), -EINVAL);
    set_handle(info.u.pdc, 0);
    EXPECT_EQ(call(XEN_PM_PDC, 0), -EFAULT);
    p = {};
    EXPECT_EQ(platform_call(XENPF_microcode_update, p), -EINVAL);
    p.u.microcode.length = 4096;
    EXPECT_EQ(platform_call(XENPF_microcode_update, p), -EINVAL);
}

std::vector<std::string> report;

TEST_F(Hotplug, AReportForPeople) {
    report.clear();
    ASSERT_EQ(create(5, XEN_SCHEDULER_RTDS), 0);
    ASSERT_EQ(plug(kOff, 1), 0);
    core::report_scheduler([](std::string_view line) { report.emplace_back(line); });
    const auto says = [](std::string_view text) {
        return std::any_of(report.begin(), report.end(),
                           [&](const auto& line) { return line.find(text) != std::string::npos; });
    };
    EXPECT_TRUE(says("pool 0: credit2, 1 domains"));
    EXPECT_TRUE(says("pool 5: rtds, 0 domains"));
    EXPECT_TRUE(says("vCPU 1"));
    EXPECT_TRUE(says("CPU 1 is offline"));
    EXPECT_EQ(plug(kOn, 1), 0);
}

}  // namespace
}  // namespace domus::hypercall
