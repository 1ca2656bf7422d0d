// SPDX-License-Identifier: GPL-2.0-or-later
// Pools of CPUs, where vCPUs run and how much, as the toolstack sets them. Errors are the reference's where
// it was asked.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/affinity.hpp"
#include "core/cpupool.hpp"
#include "sched/arinc653.hpp"
#include "unit/cpupool_fixture.hpp"

namespace domus::hypercall {
namespace {

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

}  // namespace
}  // namespace domus::hypercall
