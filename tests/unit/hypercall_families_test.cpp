// SPDX-License-Identifier: GPL-2.0-or-later
// Decoding of the families whose logic is in core/: event channels, scheduling, vCPUs, grant tables.
#include <gtest/gtest.h>

#include <vector>

#include "abi/xen.hpp"
#include "hypercall/dispatch.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

// ---- event channels -----------------------------------------------------------------------------

class EventChannelOp : public HypercallTest {
  protected:
    template <class T>
    s64 evtchn(u32 command, T& arg) {
        return op(__HYPERVISOR_event_channel_op, command, arg);
    }
    evtchn_port_t ipi(u32 vcpu_id) {
        evtchn_bind_ipi_t b{.vcpu = vcpu_id, .port = 0};
        EXPECT_EQ(evtchn(EVTCHNOP_bind_ipi, b), 0);
        return b.port;
    }
};

TEST_F(EventChannelOp, BindSendStatusClose) {
    const evtchn_port_t port = ipi(1);
    evtchn_status_t status{};
    status.dom = DOMID_SELF;
    status.port = port;
    EXPECT_EQ(evtchn(EVTCHNOP_status, status), 0);
    EXPECT_EQ(status.status, u32{EVTCHNSTAT_ipi});
    EXPECT_EQ(status.vcpu, 1u);
    EXPECT_EQ(status.port, port) << "what the guest asked for stays";
    evtchn_send_t send{.port = port};
    EXPECT_EQ(evtchn(EVTCHNOP_send, send), 0);
    EXPECT_TRUE(pending(domain, EvtPort(port)));
    evtchn_close_t close{.port = port};
    EXPECT_EQ(evtchn(EVTCHNOP_close, close), 0);
    EXPECT_EQ(evtchn(EVTCHNOP_close, close), -EINVAL);
}

TEST_F(EventChannelOp, VirqAndUnbound) {
    evtchn_bind_virq_t virq{.virq = VIRQ_TIMER, .vcpu = 0, .port = 0};
    EXPECT_EQ(evtchn(EVTCHNOP_bind_virq, virq), 0);
    EXPECT_NE(virq.port, 0u);
    EXPECT_EQ(evtchn(EVTCHNOP_bind_virq, virq), -EEXIST);
    virq.virq = NR_VIRQS;
    EXPECT_EQ(evtchn(EVTCHNOP_bind_virq, virq), -EINVAL);
    virq = {.virq = VIRQ_TIMER, .vcpu = 77, .port = 0};
    EXPECT_EQ(evtchn(EVTCHNOP_bind_virq, virq), -ENOENT);

    evtchn_alloc_unbound_t unbound{.dom = DOMID_SELF, .remote_dom = 5, .port = 0};
    EXPECT_EQ(evtchn(EVTCHNOP_alloc_unbound, unbound), 0);
    EXPECT_NE(unbound.port, 0u);
    unbound = {.dom = 99, .remote_dom = DOMID_SELF, .port = 0};
    EXPECT_EQ(evtchn(EVTCHNOP_alloc_unbound, unbound), -ESRCH);
}

TEST_F(EventChannelOp, OtherDomainsAreTheControlDomainsBusiness) {
    Domain& other = make_running(7);
    run_all();
    evtchn_alloc_unbound_t unbound{.dom = 7, .remote_dom = DOMID_SELF, .port = 0};
    EXPECT_EQ(evtchn(EVTCHNOP_alloc_unbound, unbound), 0);
    evtchn_bind_interdomain_t bind{.remote_dom = 7, .remote_port = unbound.port, .local_port = 0};
    EXPECT_EQ(evtchn(EVTCHNOP_bind_interdomain, bind), 0);
    EXPECT_NE(bind.local_port, 0u);

    unbound = {.dom = 0, .remote_dom = DOMID_SELF, .port = 0};
    put(0, unbound);
    Vcpu& theirs = *other.vcpu(VcpuId(0));
    EXPECT_EQ(run_as(theirs, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, at(0)), -EPERM);
    evtchn_reset_t reset{.dom = 0};
    put(0, reset);
    EXPECT_EQ(run_as(theirs, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, at(0)), -EPERM);
}

TEST_F(EventChannelOp, ResetIsPreemptible) {
    for (int i = 0; i < 50; i++) ipi(0);
    machine.preempt = true;
    evtchn_reset_t reset{.dom = DOMID_SELF};
    EXPECT_EQ(evtchn(EVTCHNOP_reset, reset), 0);
    EXPECT_GT(again_count, 0u);
    machine.preempt = false;
    EXPECT_EQ(domain.events.active, 0u);
}

TEST_F(EventChannelOp, Compat) {
    evtchn_op_t o{};
    o.cmd = EVTCHNOP_bind_ipi;
    o.u.bind_ipi.vcpu = 1;
    put(0, o);
    EXPECT_EQ(run(__HYPERVISOR_event_channel_op_compat, at(0)), 0);
    o = get<evtchn_op_t>(0);
    EXPECT_NE(o.u.bind_ipi.port, 0u);
    EXPECT_EQ(o.cmd, u32{EVTCHNOP_bind_ipi});
    EXPECT_EQ(run(__HYPERVISOR_event_channel_op_compat, 0), -EFAULT);
}

TEST_F(EventChannelOp, Hostile) {
    for (u32 command = 0; command <= EVTCHNOP_set_priority; command++) {
        for (const u64 address : kBadAddresses) {
            EXPECT_EQ(run(__HYPERVISOR_event_channel_op, command, address), -EFAULT) << command;
        }
    }
    EXPECT_EQ(run(__HYPERVISOR_event_channel_op, EVTCHNOP_reset, 0), -EFAULT);
    for (const u32 command : {14u, 15u, 99u, 0x7fffff0bu}) {
        EXPECT_EQ(run(__HYPERVISOR_event_channel_op, command, at(0)), -ENOSYS) << command;
    }
    for (const u32 port : {0u, 4096u, 131072u, ~0u}) {
        evtchn_send_t send{.port = port};
        EXPECT_EQ(evtchn(EVTCHNOP_send, send), -EINVAL);
        evtchn_close_t close{.port = port};
        EXPECT_EQ(evtchn(EVTCHNOP_close, close), -EINVAL);
        evtchn_unmask_t unmask{.port = port};
        EXPECT_EQ(evtchn(EVTCHNOP_unmask, unmask), -EINVAL);
    }
}

// ---- scheduling ---------------------------------------------------------------------------------

class SchedOp : public HypercallTest {};

TEST_F(SchedOp, BlockEnablesEvents) {
    vcpu.info->evtchn_upcall_mask = 1;
    EXPECT_EQ(run(__HYPERVISOR_sched_op, SCHEDOP_block), 0);
    EXPECT_EQ(vcpu.info->evtchn_upcall_mask, 0);
    EXPECT_TRUE(vcpu.blocked.load());
    EXPECT_EQ(run(__HYPERVISOR_sched_op, SCHEDOP_yield), 0);
}

TEST_F(SchedOp, Poll) {
    sched_poll_t poll{};
    poll.nr_ports = 129;
    EXPECT_EQ(op(__HYPERVISOR_sched_op, SCHEDOP_poll, poll), -EINVAL);
    poll.nr_ports = ~0u;
    EXPECT_EQ(op(__HYPERVISOR_sched_op, SCHEDOP_poll, poll), -EINVAL);
    poll.nr_ports = 1;
    set_handle(poll.ports, 0xffff830000000000);
    EXPECT_EQ(op(__HYPERVISOR_sched_op, SCHEDOP_poll, poll), -EFAULT);
    set_handle(poll.ports, at(0x100));
    put(0x100, evtchn_port_t{4000});
    EXPECT_EQ(op(__HYPERVISOR_sched_op, SCHEDOP_poll, poll), -EINVAL) << "not in use";
}

TEST_F(SchedOp, ShutdownOfOthers) {
    Domain& other = make_running(7);
    run_all();
    sched_remote_shutdown_t remote{.domain_id = 7, .reason = SHUTDOWN_reboot};
    EXPECT_EQ(op(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, remote), 0);
    EXPECT_EQ(other.shutdown_code, SHUTDOWN_reboot);
    remote.domain_id = 0;
    EXPECT_EQ(op(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, remote), -EPERM);
    remote.domain_id = 42;
    EXPECT_EQ(op(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, remote), -ESRCH);
    put(0, remote);
    EXPECT_EQ(run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, at(0)), -EPERM);
}

TEST_F(SchedOp, OwnShutdown) {
    Domain& other = make_running(7);
    run_all();
    put(0, sched_shutdown_t{.reason = SHUTDOWN_crash});
    EXPECT_EQ(run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_sched_op, SCHEDOP_shutdown, at(0)), 0);
    EXPECT_EQ(other.shutdown_code, SHUTDOWN_crash);
}

TEST_F(SchedOp, Watchdog) {
    sched_watchdog_t w{.id = 0, .timeout = 30};
    const s64 id = op(__HYPERVISOR_sched_op, SCHEDOP_watchdog, w);
    EXPECT_EQ(id, 1);
    w = {.id = 1, .timeout = 0};
    EXPECT_EQ(op(__HYPERVISOR_sched_op, SCHEDOP_watchdog, w), 0);
    w = {.id = 99, .timeout = 1};
    EXPECT_EQ(op(__HYPERVISOR_sched_op, SCHEDOP_watchdog, w), -EINVAL);
}

TEST_F(SchedOp, Hostile) {
    for (const u64 address : kBadAddresses) {
        EXPECT_EQ(run(__HYPERVISOR_sched_op, SCHEDOP_poll, address), -EFAULT);
        EXPECT_EQ(run(__HYPERVISOR_sched_op, SCHEDOP_shutdown, address), -EFAULT);
    }
    EXPECT_EQ(run(__HYPERVISOR_sched_op, ~0u, at(0)), -ENOSYS);
    EXPECT_EQ(run(__HYPERVISOR_sched_op_compat, SCHEDOP_yield), 0);
    EXPECT_EQ(run(__HYPERVISOR_sched_op_compat, SCHEDOP_poll), -ENOSYS);
}

// ---- vCPUs --------------------------------------------------------------------------------------

class VcpuOp : public HypercallTest {};

TEST_F(VcpuOp, UpAndDown) {
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 1), 1);
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_down, 1), 0);
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 1), 0);
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_up, 1), 0);
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 1), 1);
}

TEST_F(VcpuOp, InitialiseReadsTheWholeContext) {
    Domain& d = make_domain(7);
    put(0, vcpu_guest_context_t{});
    Vcpu& v = *d.vcpu(VcpuId(0));
    const u32 before = fakes::context.contexts_set;
    EXPECT_EQ(run_as(v, __HYPERVISOR_vcpu_op, VCPUOP_initialise, 1, at(0)), 0);
    EXPECT_EQ(fakes::context.contexts_set, before + 1);
    EXPECT_EQ(run_as(v, __HYPERVISOR_vcpu_op, VCPUOP_initialise, 1, at(0)), -EEXIST);
    const u64 edge = at(machine.guest.size() - sizeof(vcpu_guest_context_t) + 1);
    EXPECT_EQ(run_as(v, __HYPERVISOR_vcpu_op, VCPUOP_initialise, 0, edge), -EFAULT);
}

TEST_F(VcpuOp, Timers) {
    put(0, vcpu_set_singleshot_timer_t{.timeout_abs_ns = 5'000'000, .flags = 0});
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, at(0)), 0);
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 1, at(0)), -EINVAL) << "another's";
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, 0), 0);
    put(0, vcpu_set_periodic_timer_t{.period_ns = 10'000'000});
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, at(0)), 0);
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0), 0);
    put(0, vcpu_set_periodic_timer_t{.period_ns = 1});
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, at(0)), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_set_timer_op, 10'000'000), 0);
    EXPECT_EQ(run(__HYPERVISOR_set_timer_op, 0), 0);
}

TEST_F(VcpuOp, Runstate) {
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, at(0)), 0);
    EXPECT_EQ(get<vcpu_runstate_info_t>(0).state, RUNSTATE_running);
    vcpu_register_runstate_memory_area_t area{};
    area.addr.p = at(0x800);
    put(0, area);
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, at(0)), 0);
    EXPECT_EQ(get<vcpu_runstate_info_t>(0x800).state, RUNSTATE_running);
}

TEST_F(VcpuOp, Hostile) {
    for (u32 command = 0; command <= VCPUOP_register_vcpu_time_memory_area; command++) {
        for (const u32 id : {2u, 4096u, ~0u}) {
            EXPECT_EQ(run(__HYPERVISOR_vcpu_op, command, id, at(0)), -ENOENT) << command;
        }
    }
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, 14, 0), -ENOSYS);
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, 14, 99), -ENOSYS);
    for (const u64 address : kBadAddresses) {
        for (const u32 command : {VCPUOP_initialise, VCPUOP_get_runstate_info, VCPUOP_set_periodic_timer,
                                  VCPUOP_set_singleshot_timer, VCPUOP_register_vcpu_info}) {
            EXPECT_EQ(run(__HYPERVISOR_vcpu_op, command, 0, address), -EFAULT) << command;
        }
    }
    put(0, vcpu_register_vcpu_info_t{.mfn = ~u64{0}, .offset = 0, .rsvd = 0});
    EXPECT_EQ(run(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, at(0)), -EINVAL);
}

// ---- grant tables -------------------------------------------------------------------------------

class GrantTableOp : public HypercallTest {
  protected:
    s64 grant(u32 command, u32 count = 1) { return run(__HYPERVISOR_grant_table_op, command, at(0), count); }
};

TEST_F(GrantTableOp, SetUp) {
    gnttab_query_size_t size{};
    size.dom = DOMID_SELF;
    put(0, size);
    EXPECT_EQ(grant(GNTTABOP_query_size), 0);
    size = get<gnttab_query_size_t>(0);
    EXPECT_EQ(size.status, GNTST_okay);
    EXPECT_EQ(size.max_nr_frames, 64u);

    gnttab_setup_table_t setup{};
    setup.dom = DOMID_SELF;
    setup.nr_frames = 4;
    set_handle(setup.frame_list, at(0x100));
    put(0, setup);
    EXPECT_EQ(grant(GNTTABOP_setup_table), 0);
    EXPECT_EQ(get<gnttab_setup_table_t>(0).status, GNTST_okay);
    const auto frames = get<xen_pfn_t>(0x100, 4);
    for (const auto f : frames) EXPECT_TRUE(f != 0 && frame_valid(Mfn(f)));
    EXPECT_NE(frames[0], frames[3]);

    setup.nr_frames = 65;
    put(0, setup);
    EXPECT_EQ(grant(GNTTABOP_setup_table), 0);
    EXPECT_EQ(get<gnttab_setup_table_t>(0).status, GNTST_general_error);
    setup.nr_frames = 1;
    setup.dom = 99;
    put(0, setup);
    EXPECT_EQ(grant(GNTTABOP_setup_table), 0);
    EXPECT_EQ(get<gnttab_setup_table_t>(0).status, GNTST_bad_domain);
    setup.dom = DOMID_SELF;
    set_handle(setup.frame_list, 0xffff830000000000);
    put(0, setup);
    EXPECT_EQ(grant(GNTTABOP_setup_table), -EFAULT);
}

TEST_F(GrantTableOp, Versions) {
    gnttab_get_version_t v{};
    v.dom = DOMID_SELF;
    put(0, v);
    EXPECT_EQ(grant(GNTTABOP_get_version), 0);
    EXPECT_EQ(get<gnttab_get_version_t>(0).version, 1u);
    put(0, gnttab_set_version_t{.version = 2});
    EXPECT_EQ(grant(GNTTABOP_set_version), 0);
    EXPECT_EQ(get<gnttab_set_version_t>(0).version, 2u);
    put(0, gnttab_set_version_t{.version = 3});
    EXPECT_EQ(grant(GNTTABOP_set_version), -EINVAL);
    EXPECT_EQ(get<gnttab_set_version_t>(0).version, 2u);
}

TEST_F(GrantTableOp, Hostile) {
    for (const u32 command : {GNTTABOP_setup_table, GNTTABOP_query_size, GNTTABOP_set_version,
                              GNTTABOP_get_version, GNTTABOP_get_status_frames}) {
        EXPECT_EQ(grant(command, 0), -EINVAL);
        EXPECT_EQ(grant(command, 2), -EINVAL);
        EXPECT_EQ(grant(command, ~0u), -EINVAL);
        for (const u64 address : kBadAddresses) {
            EXPECT_EQ(run(__HYPERVISOR_grant_table_op, command, address, 1), -EFAULT);
        }
    }
    EXPECT_EQ(grant(99), -ENOSYS);
    EXPECT_EQ(grant(1u << 8 | GNTTABOP_copy), -ENOSYS);
}

}  // namespace
}  // namespace domus::hypercall
