// SPDX-License-Identifier: GPL-2.0-or-later
// vCPUs: running, sleeping, pausing, polling, and what they see of time.
#include <cstring>

#include "core/sched_op.hpp"
#include "core/vcpu_time.hpp"
#include "core_fixture.hpp"

namespace domus {
namespace {

class VcpuTest : public CoreTest {
  protected:
    bool running(Vcpu& v) { return v.sched.running.load(); }
    // Two vCPUs on two CPUs, both running.
    Domain& start(u32 vcpus = 2) {
        Domain& d = make_running(1, vcpus);
        run_all();
        return d;
    }
    void block(Vcpu& v) {
        act_as(v);
        core::vcpu_block(v);
        machine.set_cpu(CpuId(0));
        run_all();
    }
    Vaddr guest(u64 offset) { return Vaddr(fakes::Machine::guest_base + offset); }
    template <class T>
    T guest_read(u64 offset) {
        T t;
        std::memcpy(&t, &machine.guest.at(offset), sizeof t);
        return t;
    }
};

TEST_F(VcpuTest, RunsWhenNothingHoldsIt) {
    Domain& d = make_domain(1, 1);
    Vcpu& v = vcpu(d, 0);
    EXPECT_ERROR(core::vcpu_up(d, VcpuId(0)), inval);
    ASSERT_TRUE(core::vcpu_initialise(d, VcpuId(0), nullptr));
    EXPECT_ERROR(core::vcpu_initialise(d, VcpuId(0), nullptr), exist);
    EXPECT_FALSE(*core::vcpu_is_up(d, VcpuId(0)));
    ASSERT_TRUE(core::vcpu_up(d, VcpuId(0)));
    EXPECT_TRUE(*core::vcpu_is_up(d, VcpuId(0)));
    run_all();
    EXPECT_FALSE(running(v)) << "the domain is still paused";
    core::unpause_domain(d);
    run_all();
    EXPECT_TRUE(running(v));
    EXPECT_EQ(fakes::context.current[v.sched.cpu.v], &v);
}

TEST_F(VcpuTest, UnknownVcpusAreRefused) {
    Domain& d = make_domain(1, 2);
    for (u32 id : {2u, 31u, 8192u, ~0u}) {
        EXPECT_ERROR(core::vcpu_up(d, VcpuId(id)), noent);
        EXPECT_ERROR(core::vcpu_down(d, VcpuId(id)), noent);
        EXPECT_ERROR(core::vcpu_is_up(d, VcpuId(id)), noent);
        EXPECT_ERROR(core::vcpu_initialise(d, VcpuId(id), nullptr), noent);
        EXPECT_ERROR(core::register_vcpu_info(d, VcpuId(id), Mfn(1), 0), noent);
    }
}

TEST_F(VcpuTest, ARefusedContextLeavesItUninitialised) {
    Domain& d = make_domain(1, 1);
    fakes::context.refuse_context = true;
    EXPECT_ERROR(core::vcpu_initialise(d, VcpuId(0), nullptr), inval);
    EXPECT_ERROR(core::vcpu_up(d, VcpuId(0)), inval);
    fakes::context.refuse_context = false;
    EXPECT_TRUE(core::vcpu_initialise(d, VcpuId(0), nullptr));
}

TEST_F(VcpuTest, PausingNests) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 1);
    ASSERT_TRUE(running(v));
    core::pause_vcpu(v);
    core::pause_vcpu(v);
    core::pause_domain(d);
    run_all();
    EXPECT_FALSE(running(v));
    EXPECT_FALSE(running(vcpu(d, 0)));
    core::unpause_vcpu(v);
    core::unpause_domain(d);
    run_all();
    EXPECT_FALSE(running(v));
    EXPECT_TRUE(running(vcpu(d, 0)));
    core::unpause_vcpu(v);
    run_all();
    EXPECT_TRUE(running(v));
}

TEST_F(VcpuTest, BlockSleepsUntilAnEvent) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 1);
    const EvtPort p = *core::bind_ipi(d, VcpuId(1));
    v.info->evtchn_upcall_mask = 1;
    block(v);
    EXPECT_FALSE(running(v));
    EXPECT_EQ(v.info->evtchn_upcall_mask, 0) << "block enables delivery";
    ASSERT_TRUE(core::send_event(d, p));
    run_all();
    EXPECT_TRUE(running(v));
}

TEST_F(VcpuTest, BlockReturnsWhenAnEventIsPending) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 0);
    v.info->evtchn_upcall_mask = 1;
    v.info->evtchn_upcall_pending = 1;
    block(v);
    EXPECT_TRUE(running(v));
    EXPECT_FALSE(v.blocked.load());
    // An NMI is a reason as well.
    take_upcall(v);
    v.pv.nmi_callback = 0x1000;
    ASSERT_TRUE(core::vcpu_send_nmi(d, VcpuId(0)));
    block(v);
    EXPECT_TRUE(running(v));
    v.pv.in_nmi = true;
    block(v);
    EXPECT_FALSE(running(v)) << "not while it is in one";
    v.pv.in_nmi = false;
    v.nmi_pending = false;
    ASSERT_TRUE(core::vcpu_send_nmi(d, VcpuId(0)));
    run_all();
    EXPECT_TRUE(running(v));
}

TEST_F(VcpuTest, AnEventForARunningVcpuInterruptsItsCpu) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 1);
    const EvtPort p = *core::bind_ipi(d, VcpuId(1));
    const u32 cpu = v.sched.cpu.v;
    machine.set_cpu(CpuId(1 - cpu));
    const u32 before = machine.kicks[cpu];
    ASSERT_TRUE(core::send_event(d, p));
    EXPECT_EQ(machine.kicks[cpu], before + 1);
    ASSERT_TRUE(core::send_event(d, p));
    EXPECT_EQ(machine.kicks[cpu], before + 1) << "pending already";
    machine.set_cpu(CpuId(0));
}

TEST_F(VcpuTest, PollWaitsForOnePort) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 0);
    const EvtPort p = *core::alloc_unbound(d, d.id), q = *core::bind_interdomain(d, d.id, p);
    ack(d, q);
    take_upcall(v);
    mask(d, q);
    v.info->evtchn_upcall_mask = 1;
    const u32 ports[] = {q.v};
    act_as(v);
    ASSERT_TRUE(core::vcpu_poll(v, ports, 0));
    machine.set_cpu(CpuId(0));
    run_all();
    EXPECT_FALSE(running(v));
    EXPECT_EQ(d.events.pollers.load(), 1u);
    ASSERT_TRUE(core::send_event(d, p)) << "the port is masked, but polled";
    run_all();
    EXPECT_TRUE(running(v));
    EXPECT_EQ(d.events.pollers.load(), 0u);
    act_as(v);
    ASSERT_TRUE(core::vcpu_poll(v, ports, 0)) << "pending already";
    EXPECT_FALSE(v.blocked.load());
}

TEST_F(VcpuTest, PollTimesOut) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 0);
    const EvtPort p = *core::alloc_unbound(d, DomId(5)), q = *core::alloc_unbound(d, DomId(5));
    const u32 ports[] = {p.v, q.v};
    v.info->evtchn_upcall_mask = 1;
    act_as(v);
    ASSERT_TRUE(core::vcpu_poll(v, ports, 5 * kMillisecond));
    machine.set_cpu(CpuId(0));
    run_all();
    EXPECT_FALSE(running(v));
    advance(4 * kMillisecond);
    EXPECT_FALSE(running(v));
    advance(2 * kMillisecond);
    EXPECT_TRUE(running(v));
    EXPECT_EQ(d.events.pollers.load(), 0u);
}

TEST_F(VcpuTest, ANewContextEndsAPoll) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 0);
    const u32 ports[] = {core::alloc_unbound(d, DomId(5))->v};
    v.info->evtchn_upcall_mask = 1;
    act_as(v);
    ASSERT_TRUE(core::vcpu_poll(v, ports, 5 * kMillisecond));
    machine.set_cpu(CpuId(0));
    run_all();
    core::pause_vcpu_sync(v);
    ASSERT_TRUE(core::vcpu_replace_context(v, nullptr, true));
    EXPECT_EQ(d.events.pollers.load(), 0u);
    EXPECT_EQ(v.polling.load(), Vcpu::kPollNone);
    EXPECT_FALSE(v.poll_timer.queued());
    core::unpause_vcpu(v);
    run_all();
    EXPECT_TRUE(running(v));
}

TEST_F(VcpuTest, PollRefusesBadPorts) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 0);
    std::vector<u32> many(core::kMaxPolledPorts + 1, 1);
    act_as(v);
    EXPECT_ERROR(core::vcpu_poll(v, many, 0), inval);
    for (u32 bad : {0u, 5u, ~0u}) {
        const u32 ports[] = {bad};
        EXPECT_ERROR(core::vcpu_poll(v, ports, 0), inval);
        EXPECT_FALSE(v.blocked.load());
    }
    EXPECT_EQ(d.events.pollers.load(), 0u);
}

TEST_F(VcpuTest, TheLastOneDownTakesTheDomain) {
    Domain& d = start();
    ASSERT_TRUE(core::vcpu_down(d, VcpuId(1)));
    run_all();
    EXPECT_FALSE(running(vcpu(d, 1)));
    EXPECT_FALSE(d.shut_down.load());
    ASSERT_TRUE(core::vcpu_down(d, VcpuId(0)));
    EXPECT_TRUE(d.shut_down.load());
    EXPECT_EQ(d.shutdown_code, SHUTDOWN_poweroff);
}

TEST_F(VcpuTest, ShutdownStopsAllAndTellsTheHardwareDomain) {
    Domain& dom0 = make_running(0, 1, {.hardware = true});
    Domain& d = make_running(1, 2);
    run_all();
    const EvtPort p = *core::bind_virq(dom0, VIRQ_DOM_EXC, VcpuId(0));
    core::set_shutdown_code(d, SHUTDOWN_crash);
    core::shut_down_domain(d, SHUTDOWN_reboot);
    run_all();
    EXPECT_FALSE(running(vcpu(d, 0)));
    EXPECT_EQ(d.shutdown_code, SHUTDOWN_crash) << "the latched code counts";
    EXPECT_TRUE(pending(dom0, p));
    core::resume_domain(d);
    run_all();
    EXPECT_EQ(d.shutdown_code, -1);
    EXPECT_FALSE(d.shut_down.load());
}

TEST_F(VcpuTest, Watchdogs) {
    Domain& d = start();
    EXPECT_ERROR(core::watchdog(d, 0, 0, 0), inval);
    EXPECT_ERROR(core::watchdog(d, 3, 1, 0), inval);
    EXPECT_ERROR(core::watchdog(d, ~0u, 1, 0), inval);
    EXPECT_ERROR(core::watchdog(d, 1, 1, 0), inval);
    EXPECT_EQ(*core::watchdog(d, 0, 5, machine.now), 1u);
    EXPECT_EQ(*core::watchdog(d, 0, 9, machine.now), 2u);
    EXPECT_ERROR(core::watchdog(d, 0, 5, machine.now), nospc);
    advance(4 * kSecond);
    EXPECT_EQ(*core::watchdog(d, 1, 5, machine.now), 0u);
    EXPECT_EQ(*core::watchdog(d, 2, 0, machine.now), 0u);
    advance(4 * kSecond);
    EXPECT_FALSE(d.shut_down.load());
    advance(2 * kSecond);
    EXPECT_TRUE(d.shut_down.load());
    EXPECT_EQ(d.shutdown_code, SHUTDOWN_watchdog);
}

TEST_F(VcpuTest, InfoMovesWithoutLosingEvents) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 0);
    const Mfn page = *core::allocate_pages(d, 0, {.scrub = true});
    for (u32 offset : {4096u, 4096u - 63u, ~0u, 4u})
        EXPECT_ERROR(core::register_vcpu_info(d, VcpuId(0), page, offset), inval);
    EXPECT_ERROR(core::register_vcpu_info(d, VcpuId(0), Mfn(5), 0), inval);
    EXPECT_ERROR(core::register_vcpu_info(d, VcpuId(0), kNoMfn, 0), inval);
    EXPECT_ERROR(core::register_vcpu_info(d, VcpuId(0), d.shared_mfn + kFrames, 0), inval);
    act_as(v);
    EXPECT_ERROR(core::register_vcpu_info(d, VcpuId(1), page, 0), inval) << "another one that is up";
    v.info->evtchn_upcall_mask = 1;
    const u32 version = v.info->time.version;
    ASSERT_TRUE(core::register_vcpu_info(d, VcpuId(0), page, 4096 - 64));
    EXPECT_EQ(reinterpret_cast<u8*>(v.info), port::frame_ptr<u8>(page) + 4096 - 64);
    EXPECT_EQ(v.info->evtchn_upcall_mask, 1);
    EXPECT_EQ(v.info->evtchn_upcall_pending, 1);
    EXPECT_EQ(v.info->evtchn_pending_sel, ~0ul);
    EXPECT_EQ(v.info->time.version, version);
    EXPECT_ERROR(core::register_vcpu_info(d, VcpuId(0), page, 0), inval) << "once";
}

TEST_F(VcpuTest, VcpusBeyondTheSharedPageNeedAPlace) {
    Domain& d = make_domain(1, 34);
    EXPECT_ERROR(core::vcpu_initialise(d, VcpuId(33), nullptr), inval);
    const EvtPort p = *core::bind_ipi(d, VcpuId(33));
    EXPECT_TRUE(core::send_event(d, p));
    const Mfn page = *core::allocate_pages(d, 0, {.scrub = true});
    ASSERT_TRUE(core::register_vcpu_info(d, VcpuId(33), page, 64));
    EXPECT_TRUE(core::vcpu_initialise(d, VcpuId(33), nullptr));
    EXPECT_EQ(vcpu(d, 33).info->evtchn_upcall_pending, 1);
    EXPECT_EQ(vcpu(d, 31).info, &d.shared->vcpu_info[31]);
}

TEST_F(VcpuTest, SingleShotTimer) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 1);
    const EvtPort p = *core::bind_virq(d, VIRQ_TIMER, VcpuId(1));
    machine.now = kSecond;
    act_as(vcpu(d, 0));
    EXPECT_ERROR(core::set_singleshot_timer(v, 2 * kSecond, 0, machine.now), inval) << "another vCPU's";
    act_as(v);
    EXPECT_ERROR(core::set_singleshot_timer(v, kSecond - 1, VCPU_SSHOTTMR_future, machine.now), time);
    ASSERT_TRUE(core::set_singleshot_timer(v, 2 * kSecond, VCPU_SSHOTTMR_future, machine.now));
    block(v);
    advance(kSecond - 1);
    EXPECT_FALSE(pending(d, p));
    advance(1);
    EXPECT_TRUE(pending(d, p));
    EXPECT_TRUE(running(v));
    // In the past: at once. And stopped: never.
    ack(d, p);
    act_as(v);
    ASSERT_TRUE(core::set_singleshot_timer(v, 1, 0, machine.now));
    run_all();
    EXPECT_TRUE(pending(d, p));
    ack(d, p);
    act_as(v);
    core::set_timer_op(v, machine.now + 10);
    ASSERT_TRUE(core::stop_singleshot_timer(v));
    advance(kSecond);
    EXPECT_FALSE(pending(d, p));
    act_as(v);
    core::set_timer_op(v, ~u64{0});
    core::set_timer_op(v, 0);
}

TEST_F(VcpuTest, PeriodicTimerTicksAndSkipsWhatWasMissed) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 0);
    const EvtPort p = *core::bind_virq(d, VIRQ_TIMER, VcpuId(0));
    EXPECT_ERROR(core::set_periodic_timer(v, 0, 0), inval);
    EXPECT_ERROR(core::set_periodic_timer(v, kMillisecond - 1, 0), inval);
    EXPECT_ERROR(core::set_periodic_timer(v, ~u64{0}, 0), inval);
    ASSERT_TRUE(core::set_periodic_timer(v, 10 * kMillisecond, machine.now));
    for (int i = 0; i < 5; i++) {
        advance(9 * kMillisecond);
        EXPECT_FALSE(pending(d, p));
        advance(kMillisecond);
        EXPECT_TRUE(pending(d, p));
        ack(d, p);
    }
    advance(95 * kMillisecond);
    ack(d, p);
    advance(4 * kMillisecond);
    EXPECT_FALSE(pending(d, p));
    advance(kMillisecond);
    EXPECT_TRUE(pending(d, p)) << "in step with the first tick";
    ack(d, p);
    core::stop_periodic_timer(v);
    advance(kSecond);
    EXPECT_FALSE(pending(d, p));
}

TEST_F(VcpuTest, ClockIsPublishedWithAnEvenVersion) {
    machine.clock_scale = {.base_tsc = 77, .base_ns = 1000, .mul = 5, .shift = -1};
    Domain& d = start();
    Vcpu& v = vcpu(d, 0);
    const vcpu_time_info_t& t = v.info->time;
    EXPECT_EQ(t.version % 2, 0u);
    EXPECT_NE(t.version, 0u);
    EXPECT_EQ(t.tsc_timestamp, 77u);
    EXPECT_EQ(t.system_time, 1000u);
    EXPECT_EQ(t.tsc_to_system_mul, 5u);
    EXPECT_EQ(t.tsc_shift, -1);
    EXPECT_EQ(t.flags, XEN_PVCLOCK_TSC_STABLE_BIT);
    const u32 version = t.version;
    core::pause_vcpu(v);
    run_all();
    core::unpause_vcpu(v);
    run_all();
    EXPECT_EQ(t.version, version) << "nothing new to publish";
    core::pause_vcpu(v);
    run_all();
    machine.clock_scale.base_tsc = 78;
    core::unpause_vcpu(v);
    run_all();
    EXPECT_EQ(t.version, version + 2);
    EXPECT_EQ(t.tsc_timestamp, 78u);
}

TEST_F(VcpuTest, AreasInGuestMemoryFollow) {
    Domain& d = start();
    Vcpu& v = vcpu(d, 0);
    ASSERT_TRUE(core::register_time_area(v, guest(256).v));
    EXPECT_EQ(guest_read<vcpu_time_info_t>(256).version, v.info->time.version);
    ASSERT_TRUE(core::register_runstate_area(v, guest(512).v, machine.now));
    EXPECT_EQ(guest_read<vcpu_runstate_info_t>(512).state, RUNSTATE_running);
    d.vm_assist = 1u << VMASST_TYPE_runstate_update_flag;
    machine.now += 500;
    core::pause_vcpu(v);
    run_all();
    machine.now += 700;
    machine.clock_scale.base_tsc = 99;
    core::unpause_vcpu(v);
    run_all();
    const auto r = guest_read<vcpu_runstate_info_t>(512);
    EXPECT_EQ(r.state, RUNSTATE_running);
    EXPECT_EQ(r.state_entry_time, static_cast<u64>(machine.now)) << "and the update bit is clear";
    EXPECT_EQ(r.time[RUNSTATE_running], 500u);
    EXPECT_EQ(r.time[RUNSTATE_offline], 700u);
    EXPECT_EQ(guest_read<vcpu_time_info_t>(256).tsc_timestamp, 99u);
    // In user mode the kernel's addresses are not there: later.
    core::pause_vcpu(v);
    run_all();
    v.pv.in_kernel = false;
    machine.clock_scale.base_tsc = 100;
    core::unpause_vcpu(v);
    run_all();
    EXPECT_TRUE(v.areas_stale);
    EXPECT_EQ(guest_read<vcpu_time_info_t>(256).tsc_timestamp, 99u);
    v.pv.in_kernel = true;
    core::refresh_guest_areas(v, machine.now);
    EXPECT_EQ(guest_read<vcpu_time_info_t>(256).tsc_timestamp, 100u);
    // An address that is not mapped harms nobody.
    ASSERT_TRUE(core::register_runstate_area(v, ~u64{0}, machine.now));
    ASSERT_TRUE(core::register_time_area(v, 8));
}

TEST_F(VcpuTest, WallClock) {
    machine.wall_clock = {.seconds = 5'000'000'000, .nanoseconds = 7};
    ASSERT_TRUE(core::set_wall_clock(5'000'000'000, 7, 0));
    Domain& d = make_domain(1);
    EXPECT_EQ(d.shared->wc_version % 2, 0u);
    EXPECT_EQ(d.shared->wc_sec, static_cast<u32>(5'000'000'000));
    EXPECT_EQ(d.shared->wc_sec_hi, 1u);
    EXPECT_EQ(d.shared->wc_nsec, 7u);
    const u32 version = d.shared->wc_version;
    ASSERT_TRUE(core::set_wall_clock(1000, 500, 2 * kSecond));
    EXPECT_EQ(d.shared->wc_version, version + 2);
    EXPECT_EQ(d.shared->wc_sec, 998u);
    EXPECT_EQ(d.shared->wc_nsec, 500u);
    EXPECT_ERROR(core::set_wall_clock(1, 1'000'000'000, 0), inval);
    EXPECT_ERROR(core::set_wall_clock(1, 0, 2 * kSecond), inval);
    EXPECT_ERROR(core::set_wall_clock(~u64{0}, 0, 0), inval);
}

TEST_F(VcpuTest, PhysidIsForPinnedVcpusOfTheHardwareDomain) {
    Domain& d = make_domain(0, 1, {.hardware = true});
    EXPECT_ERROR(core::vcpu_physid(d, VcpuId(0)), inval);
    vcpu(d, 0).pinned = true;
    EXPECT_TRUE(core::vcpu_physid(d, VcpuId(0)));
    d.hardware = false;
    EXPECT_ERROR(core::vcpu_physid(d, VcpuId(0)), inval);
}

}  // namespace
}  // namespace domus
