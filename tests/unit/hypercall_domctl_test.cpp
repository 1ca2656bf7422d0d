// SPDX-License-Identifier: GPL-2.0-or-later
// domctl's commands of a domain's life, through the dispatch edge: effects, refusals, continuation, undo.
#include <functional>

#include "core/pages.hpp"
#include "fakes/pv_hw.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "port/memory.hpp"
#include "pv/context.hpp"
#include "pv/traps.hpp"
#include "unit/domctl_fixture.hpp"

namespace domus::hypercall {
namespace {

// ---- making ---------------------------------------------------------------------------------------

TEST_F(Domctl, CreatesADomain) {
    op.u.createdomain = small();
    op.u.createdomain.handle[0] = 0xab;
    op.u.createdomain.ssidref = 5;
    op.u.createdomain.max_grant_frames = 3;
    op.u.createdomain.cpupool_id = 1;  // which there is not
    EXPECT_EQ(call(XEN_DOMCTL_createdomain, 9), -ENOENT);
    EXPECT_EQ(core::find_domain(DomId(9)), nullptr);
    op.u.createdomain.cpupool_id = 0;
    op.u.createdomain.max_maptrack_frames = 7;
    op.u.createdomain.flags = XEN_DOMCTL_CDF_xs_domain;
    ASSERT_EQ(call(XEN_DOMCTL_createdomain, 9), 0);
    EXPECT_EQ(op.domain, 9u);
    Domain* d = core::find_domain(DomId(9));
    ASSERT_NE(d, nullptr);
    EXPECT_EQ(d->max_vcpus, 2u);
    EXPECT_EQ(d->grants.max_frames, 3u);
    EXPECT_EQ(d->grants.maptrack.max_frames(), 7u);
    EXPECT_EQ(d->events.max_port, 1023u);
    EXPECT_FALSE(d->privileged || d->hardware);
    EXPECT_EQ(d->vcpu(VcpuId(0)), nullptr);

    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 9), 0);
    const auto& info = op.u.getdomaininfo;
    EXPECT_EQ(info.domain, 9u);
    EXPECT_EQ(info.handle[0], 0xab);
    EXPECT_EQ(info.ssidref, 5u);
    EXPECT_EQ(info.flags & ~XEN_DOMINF_blocked, unsigned{XEN_DOMINF_paused | XEN_DOMINF_xs_domain});
    EXPECT_EQ(info.max_vcpu_id, XEN_INVALID_MAX_VCPU_ID);
    EXPECT_EQ(info.shared_info_frame, d->shared_mfn.v);
}

TEST_F(Domctl, ChoosesIdsInTurn) {
    const u16 first = create(0), second = create(DOMID_INVALID);
    EXPECT_GE(first, 1u);
    EXPECT_EQ(second, first + 1);
    destroy_by_call(first);
    destroy_by_call(second);
    // Not the lowest free one: a stale id must not soon mean somebody else.
    EXPECT_EQ(create(0), second + 1);
}

TEST_F(Domctl, RefusesWhatItCannotMake) {
    const auto refused = [&](const std::function<void(xen_domctl_createdomain&)>& change) {
        op.u.createdomain = small();
        change(op.u.createdomain);
        const s64 result = call(XEN_DOMCTL_createdomain, 9);
        EXPECT_EQ(core::find_domain(DomId(9)), nullptr);
        return result;
    };
    EXPECT_EQ(refused([](auto& c) { c.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap; }), -EINVAL);
    ASSERT_FALSE(log_lines.empty());
    EXPECT_NE(log_lines.back().find("use type=\"pv\""), std::string::npos) << log_lines.back();
    EXPECT_EQ(refused([](auto& c) { c.flags = XEN_DOMCTL_CDF_iommu; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.flags = XEN_DOMCTL_CDF_vpmu; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.flags = XEN_DOMCTL_CDF_MAX << 1; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.iommu_opts = 2; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.max_vcpus = 0; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.max_vcpus = kMaxVcpus + 1; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.grant_opts = 3; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.grant_opts = 0x10; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.max_grant_frames = 65; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.max_maptrack_frames = 1025; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.cpupool_id = 1; }), -ENOENT);
    EXPECT_EQ(refused([](auto& c) { c.vmtrace_size = 4096; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.arch.emulation_flags = XEN_X86_EMU_PIT; }), -EINVAL);
    EXPECT_EQ(refused([](auto& c) { c.arch.misc_flags = 2; }), -EINVAL);
    create(9);
    op.u.createdomain = small();
    EXPECT_EQ(call(XEN_DOMCTL_createdomain, 9), -EEXIST);
}

TEST_F(Domctl, GivesVcpusOnce) {
    Domain& d = *core::find_domain(DomId(create(9, 3)));
    op.u.max_vcpus.max = 2;
    EXPECT_EQ(call(XEN_DOMCTL_max_vcpus, 9), -EINVAL);
    EXPECT_EQ(d.vcpu(VcpuId(0)), nullptr);
    op.u.max_vcpus.max = 3;
    machine.preempt = true;  // at every occasion
    EXPECT_EQ(call(XEN_DOMCTL_max_vcpus, 9), 0);
    EXPECT_GE(again_count, 1u);
    machine.preempt = false;
    for (u32 i = 0; i < 3; i++) EXPECT_NE(d.vcpu(VcpuId(i)), nullptr);
    op.u.max_vcpus.max = 3;
    EXPECT_EQ(call(XEN_DOMCTL_max_vcpus, 9), 0);
    op.u.max_vcpus.max = 2;
    EXPECT_EQ(call(XEN_DOMCTL_max_vcpus, 0), -EINVAL);
}

TEST_F(Domctl, LimitsMemory) {
    Domain& d = *core::find_domain(DomId(create(9)));
    EXPECT_ERROR(core::allocate_pages(d, 0), nomem);
    op.u.max_mem.max_memkb = 9;
    EXPECT_EQ(call(XEN_DOMCTL_max_mem, 9), 0);
    EXPECT_TRUE(core::allocate_pages(d, 1));
    EXPECT_ERROR(core::allocate_pages(d, 0), nomem);
    op.u.max_mem.max_memkb = 4;
    EXPECT_EQ(call(XEN_DOMCTL_max_mem, 9), 0);
    EXPECT_EQ(d.pages.total, 2u);
    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 9), 0);
    EXPECT_EQ(op.u.getdomaininfo.tot_pages, 2u);
    EXPECT_EQ(op.u.getdomaininfo.max_pages, 1u);
}

// Whatever allocation fails, nothing of a domain is left, and all memory is back after it has gone.
TEST_F(Domctl, UndoesAFailedCreation) {
    destroy_by_call(create(9, 2, true));
    quiesce();
    const u64 bytes = objects_bytes_in_use();
    bool complete = false;
    for (u32 n = 0; n < 400 && !complete; n++) {
        heap_fail_after(n);
        op.u.createdomain = small();
        s64 result = call(XEN_DOMCTL_createdomain, 9);
        if (result == 0) {
            op.u.max_vcpus.max = 2;
            result = call(XEN_DOMCTL_max_vcpus, 9);
            complete = result == 0;
            heap_fail_after(~u64{0});
            destroy_by_call(9);
        }
        heap_fail_after(~u64{0});
        EXPECT_EQ(result, complete ? 0 : -ENOMEM);
        quiesce();
        ASSERT_EQ(core::find_domain(DomId(9)), nullptr);
        ASSERT_EQ(objects_bytes_in_use(), bytes) << n;
    }
    EXPECT_TRUE(complete);
}

// ---- the end --------------------------------------------------------------------------------------

TEST_F(Domctl, DestroysPreemptiblyAndLeavesNothing) {
    destroy_by_call(create(8, 2, true));
    quiesce();
    const u64 frames = heap_free_frames();
    Domain& d = *core::find_domain(DomId(create(9, 2, true)));
    op.u.max_mem.max_memkb = 400;
    ASSERT_EQ(call(XEN_DOMCTL_max_mem, 9), 0);
    for (int i = 0; i < 100; i++) ASSERT_TRUE(core::allocate_pages(d, 0));
    machine.preempt = true;
    EXPECT_EQ(call(XEN_DOMCTL_destroydomain, 9), 0);
    EXPECT_GE(again_count, 99u);
    machine.preempt = false;
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(9)), nullptr);
    EXPECT_EQ(heap_free_frames(), frames);
    EXPECT_EQ(call(XEN_DOMCTL_destroydomain, 9), -ESRCH);
}

TEST_F(Domctl, ADeadDomainStaysAsLongAsItsPagesAreHeld) {
    Domain& d = *core::find_domain(DomId(create(9)));
    op.u.max_mem.max_memkb = 400;
    ASSERT_EQ(call(XEN_DOMCTL_max_mem, 9), 0);
    const Mfn m = *core::allocate_pages(d, 0);
    const EvtPort port = *core::bind_virq(domain, VIRQ_DOM_EXC, VcpuId(0));
    PageRef held = *get_page(m, DomId(9));
    EXPECT_EQ(call(XEN_DOMCTL_destroydomain, 9), 0);
    quiesce();
    EXPECT_TRUE(pending(domain, port));
    ASSERT_EQ(core::find_domain(DomId(9)), &d);
    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 9), 0);
    EXPECT_TRUE((op.u.getdomaininfo.flags & XEN_DOMINF_dying) != 0);
    EXPECT_EQ(op.u.getdomaininfo.tot_pages, 1u);
    EXPECT_EQ(call(XEN_DOMCTL_destroydomain, 9), 0);
    // Nothing brings it back.
    op.u.max_vcpus.max = 2;
    EXPECT_EQ(call(XEN_DOMCTL_max_vcpus, 9), -EINVAL);
    EXPECT_ERROR(core::allocate_pages(d, 0), inval);
    held.reset();
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(9)), nullptr);
}

TEST_F(Domctl, NobodyDestroysHimself) {
    EXPECT_EQ(call(XEN_DOMCTL_destroydomain, 0), -EINVAL);
    EXPECT_EQ(domain.dying.load(), Dying::no);
}

// ---- pausing --------------------------------------------------------------------------------------

TEST_F(Domctl, UnpausesOnlyItsOwnPauses) {
    Domain& d = make_running(9, 1);
    EXPECT_EQ(call(XEN_DOMCTL_unpausedomain, 9), -EINVAL);
    EXPECT_EQ(call(XEN_DOMCTL_pausedomain, 9), 0);
    EXPECT_EQ(call(XEN_DOMCTL_pausedomain, 9), 0);
    EXPECT_EQ(call(XEN_DOMCTL_unpausedomain, 9), 0);
    EXPECT_EQ(d.pause_count.load(), 1u);
    // A dying domain is paused for ever, whatever control software does.
    d.control.pauses.store(0);
    d.pause_count.store(0);
    EXPECT_EQ(call(XEN_DOMCTL_pausedomain, 9), 0);
    EXPECT_EQ(call(XEN_DOMCTL_unpausedomain, 9), 0);
    for (int i = 0; i < 255; i++) ASSERT_EQ(call(XEN_DOMCTL_pausedomain, 9), 0);
    EXPECT_EQ(call(XEN_DOMCTL_pausedomain, 9), -EOVERFLOW);
}

TEST_F(Domctl, OneOperationAtATime) {
    Domain& d = make_domain(9);
    {
        const core::ControlHold other = core::ControlHold::try_take(d);
        ASSERT_TRUE(other);
        regs = {};
        op.cmd = XEN_DOMCTL_pausedomain;
        op.domain = 9;
        op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        put(0, op);
        regs.rax = __HYPERVISOR_domctl;
        regs.rdi = at(0);
        regs.rip = 0x1002;
        dispatch(vcpu, regs);
        EXPECT_EQ(regs.rip, 0x1000u);  // again
        EXPECT_EQ(d.pause_count.load(), 1u);
    }
    EXPECT_EQ(call(XEN_DOMCTL_pausedomain, 9), 0);
}

TEST_F(Domctl, ShutdownAndResume) {
    Domain& d = make_running(9, 1);
    const EvtPort exc = *core::bind_virq(domain, VIRQ_DOM_EXC, VcpuId(0));
    core::shut_down_domain(d, SHUTDOWN_reboot);
    run_all();
    EXPECT_TRUE(pending(domain, exc));
    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 9), 0);
    EXPECT_TRUE((op.u.getdomaininfo.flags & XEN_DOMINF_shutdown) != 0);
    EXPECT_EQ(op.u.getdomaininfo.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask,
              unsigned{SHUTDOWN_reboot});
    EXPECT_EQ(call(XEN_DOMCTL_resumedomain, 9), 0);
    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 9), 0);
    EXPECT_TRUE((op.u.getdomaininfo.flags & XEN_DOMINF_shutdown) == 0);
    EXPECT_EQ(call(XEN_DOMCTL_resumedomain, 0), -EINVAL);
}

TEST_F(Domctl, AVirqHasOneHandler) {
    Domain& d = make_domain(9, 1);
    const EvtPort ours = *core::bind_virq(domain, VIRQ_DOM_EXC, VcpuId(0));
    const EvtPort theirs = *core::bind_virq(d, VIRQ_DOM_EXC, VcpuId(0));
    op.u.set_virq_handler.virq = VIRQ_TIMER;
    EXPECT_EQ(call(XEN_DOMCTL_set_virq_handler, 9), -EINVAL);
    op.u.set_virq_handler.virq = NR_VIRQS;
    EXPECT_EQ(call(XEN_DOMCTL_set_virq_handler, 9), -EINVAL);
    op.u.set_virq_handler.virq = VIRQ_DOM_EXC;
    EXPECT_EQ(call(XEN_DOMCTL_set_virq_handler, 9), 0);
    core::send_global_virq(VIRQ_DOM_EXC);
    EXPECT_TRUE(pending(d, theirs));
    EXPECT_FALSE(pending(domain, ours));
    destroy(d);  // and then it is the hardware domain's again
    EXPECT_TRUE(pending(domain, ours));
}

// ---- information ----------------------------------------------------------------------------------

TEST_F(Domctl, InformationIsOfTheNextDomain) {
    make_domain(9), make_domain(12);
    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 1), 0);
    EXPECT_EQ(op.domain, 9u);
    EXPECT_EQ(op.u.getdomaininfo.domain, 9u);
    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 10), 0);
    EXPECT_EQ(op.domain, 12u);
    EXPECT_EQ(call(XEN_DOMCTL_getdomaininfo, 13), -ESRCH);
    EXPECT_EQ(call(XEN_DOMCTL_getdomaininfo, DOMID_FIRST_RESERVED), -EINVAL);
}

TEST_F(Domctl, InformationCountsVcpus) {
    advance(5'000'000);
    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 0), 0);
    const auto& info = op.u.getdomaininfo;
    EXPECT_EQ(info.nr_online_vcpus, 2u);
    EXPECT_EQ(info.max_vcpu_id, 1u);
    EXPECT_EQ(info.flags, unsigned{XEN_DOMINF_running});
    EXPECT_EQ(info.cpu_time, 2u * 5'000'000);
    op.u.getvcpuinfo = {};
    op.u.getvcpuinfo.vcpu = 1;
    ASSERT_EQ(call(XEN_DOMCTL_getvcpuinfo, 0), 0);
    EXPECT_EQ(op.u.getvcpuinfo.online, 1);
    EXPECT_EQ(op.u.getvcpuinfo.running, 1);
    EXPECT_EQ(op.u.getvcpuinfo.cpu_time, 5'000'000u);
    EXPECT_EQ(op.u.getvcpuinfo.cpu, domain.vcpu(VcpuId(1))->sched.cpu.v);
    op.u.getvcpuinfo.vcpu = 2;
    EXPECT_EQ(call(XEN_DOMCTL_getvcpuinfo, 0), -ESRCH);
}

TEST_F(Domctl, ListsDomains) {
    make_domain(9), make_domain(12), make_domain(14);
    xen_sysctl_t list{};
    list.cmd = XEN_SYSCTL_getdomaininfolist;
    list.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    list.u.getdomaininfolist.first_domain = 1;
    list.u.getdomaininfolist.max_domains = 2;
    set_handle(list.u.getdomaininfolist.buffer, at(0x1000));
    put(0, list);
    ASSERT_EQ(run(__HYPERVISOR_sysctl, at(0)), 0);
    EXPECT_EQ(get<xen_sysctl_t>(0).u.getdomaininfolist.num_domains, 2u);
    const auto infos = get<xen_domctl_getdomaininfo>(0x1000, 3);
    EXPECT_EQ(infos[0].domain, 9u);
    EXPECT_EQ(infos[1].domain, 12u);
    EXPECT_EQ(infos[2].domain, 0u);
}

TEST_F(Domctl, TellsPageTypes) {
    Domain& d = *core::find_domain(DomId(create(9)));
    op.u.max_mem.max_memkb = 400;
    ASSERT_EQ(call(XEN_DOMCTL_max_mem, 9), 0);
    const Mfn plain = *core::allocate_pages(d, 0), table = *core::allocate_pages(d, 0, {.scrub = true});
    ASSERT_TRUE(pin_page(frame_of(table), PageType::l2, {.owner = d.id}));
    std::vector<u64> list(200, plain.v);
    list[1] = table.v;
    list[2] = ~u64{0};
    list[3] = domain.shared_mfn.v;  // somebody else's
    list[199] = table.v;
    put(0x1000, list);
    op.u.getpageframeinfo3.num = 200;
    set_handle(op.u.getpageframeinfo3.array, at(0x1000));
    machine.preempt = true;
    ASSERT_EQ(call(XEN_DOMCTL_getpageframeinfo3, 9), 0);
    machine.preempt = false;
    EXPECT_GE(again_count, 2u);
    list = get<u64>(0x1000, 200);
    constexpr u64 kPinnedL2 = XEN_DOMCTL_PFINFO_L2TAB | XEN_DOMCTL_PFINFO_LPINTAB;
    EXPECT_EQ(list[0], XEN_DOMCTL_PFINFO_NOTAB);
    EXPECT_EQ(list[1], kPinnedL2);
    EXPECT_EQ(list[2], XEN_DOMCTL_PFINFO_XTAB);
    EXPECT_EQ(list[3], XEN_DOMCTL_PFINFO_XTAB);
    EXPECT_EQ(list[198], XEN_DOMCTL_PFINFO_NOTAB);
    EXPECT_EQ(list[199], kPinnedL2);
    op.u.getpageframeinfo3.num = 1025;
    EXPECT_EQ(call(XEN_DOMCTL_getpageframeinfo3, 9), -E2BIG);
}

// ---- what hardware it may reach -------------------------------------------------------------------

TEST_F(Domctl, GivesOnlyWhatTheCallerHas) {
    Domain& d = make_domain(9);
    ASSERT_TRUE(domain.iomem_caps.add(0x100, 0x1ff));
    ASSERT_TRUE(domain.ioport_caps.add(0x60, 0x64));
    ASSERT_TRUE(domain.irq_caps.add(4, 4));
    op.u.iomem_permission = {.first_mfn = 0x1f0, .nr_mfns = 0x10, .allow_access = 1};
    EXPECT_EQ(call(XEN_DOMCTL_iomem_permission, 9), 0);
    EXPECT_TRUE(d.iomem_caps.contains(0x1f0, 0x1ff));
    op.u.iomem_permission = {.first_mfn = 0x1f1, .nr_mfns = 0x10, .allow_access = 1};
    EXPECT_EQ(call(XEN_DOMCTL_iomem_permission, 9), -EPERM);
    op.u.iomem_permission = {.first_mfn = 0x1f0, .nr_mfns = ~u64{0}, .allow_access = 1};
    EXPECT_EQ(call(XEN_DOMCTL_iomem_permission, 9), -EINVAL);
    op.u.iomem_permission = {.first_mfn = 0x1f0, .nr_mfns = 0, .allow_access = 1};
    EXPECT_EQ(call(XEN_DOMCTL_iomem_permission, 9), -EINVAL);
    op.u.memory_mapping = {
        .first_gfn = 5, .first_mfn = 0x1f0, .nr_mfns = 0x10, .add_mapping = 1, .padding = 0};
    EXPECT_EQ(call(XEN_DOMCTL_memory_mapping, 9), 0);
    op.u.memory_mapping.first_mfn = 0x1e0;
    EXPECT_EQ(call(XEN_DOMCTL_memory_mapping, 9), -EPERM);
    op.u.iomem_permission = {.first_mfn = 0x1f0, .nr_mfns = 1, .allow_access = 0};
    EXPECT_EQ(call(XEN_DOMCTL_iomem_permission, 9), 0);
    EXPECT_FALSE(d.iomem_caps.contains(0x1f0));

    op.u.ioport_permission = {.first_port = 0x60, .nr_ports = 5, .allow_access = 1};
    EXPECT_EQ(call(XEN_DOMCTL_ioport_permission, 9), 0);
    EXPECT_TRUE(d.ioport_caps.contains(0x60, 0x64));
    op.u.ioport_permission = {.first_port = 0xffff, .nr_ports = 2, .allow_access = 1};
    EXPECT_EQ(call(XEN_DOMCTL_ioport_permission, 9), -EINVAL);
    op.u.irq_permission = {.pirq = 4, .allow_access = 1, .pad = {}};
    EXPECT_EQ(call(XEN_DOMCTL_irq_permission, 9), 0);
    EXPECT_TRUE(d.irq_caps.contains(4));
    op.u.irq_permission = {.pirq = 5, .allow_access = 1, .pad = {}};
    EXPECT_EQ(call(XEN_DOMCTL_irq_permission, 9), -EPERM);
    EXPECT_EQ(call(XEN_DOMCTL_bind_pt_irq, 9), -EINVAL);
    EXPECT_EQ(call(XEN_DOMCTL_test_assign_device, DOMID_INVALID), -EOPNOTSUPP);
}

// ---- small things ---------------------------------------------------------------------------------

TEST_F(Domctl, NamesAndTimes) {
    Domain& d = make_domain(9);
    op.u.setdomainhandle.handle[15] = 7;
    EXPECT_EQ(call(XEN_DOMCTL_setdomainhandle, 9), 0);
    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 9), 0);
    EXPECT_EQ(op.u.getdomaininfo.handle[15], 7);
    const u32 before = d.shared->wc_sec;
    op.u.settimeoffset.time_offset_seconds = 3600;
    EXPECT_EQ(call(XEN_DOMCTL_settimeoffset, 9), 0);
    EXPECT_EQ(d.shared->wc_sec, before + 3600);
    op.u.sendtrigger = {.trigger = XEN_DOMCTL_SENDTRIGGER_NMI, .vcpu = 1};
    EXPECT_EQ(call(XEN_DOMCTL_sendtrigger, 9), 0);
    EXPECT_TRUE(d.vcpu(VcpuId(1))->nmi_pending.load());
    op.u.sendtrigger = {.trigger = XEN_DOMCTL_SENDTRIGGER_POWER, .vcpu = 0};
    EXPECT_EQ(call(XEN_DOMCTL_sendtrigger, 9), -ENOSYS);
    op.u.sendtrigger = {.trigger = XEN_DOMCTL_SENDTRIGGER_NMI, .vcpu = 2};
    EXPECT_EQ(call(XEN_DOMCTL_sendtrigger, 9), -ESRCH);
}

TEST_F(Domctl, WritesHypercallPagesOnlyIntoMemoryOfTheDomain) {
    Domain& d = *core::find_domain(DomId(create(9)));
    op.u.max_mem.max_memkb = 400;
    ASSERT_EQ(call(XEN_DOMCTL_max_mem, 9), 0);
    const Mfn page = *core::allocate_pages(d, 0), table = *core::allocate_pages(d, 0, {.scrub = true});
    ASSERT_TRUE(pin_page(frame_of(table), PageType::l1, {.owner = d.id}));
    op.u.hypercall_init.gmfn = page.v;
    EXPECT_EQ(call(XEN_DOMCTL_hypercall_init, 9), 0);
    EXPECT_NE(*port::frame_ptr<u64>(page), 0u);
    op.u.hypercall_init.gmfn = table.v;
    EXPECT_EQ(call(XEN_DOMCTL_hypercall_init, 9), -EACCES);
    EXPECT_EQ(*port::frame_ptr<u64>(table), 0u);
    op.u.hypercall_init.gmfn = domain.shared_mfn.v;
    EXPECT_EQ(call(XEN_DOMCTL_hypercall_init, 9), -EACCES);
}

TEST_F(Domctl, ARefusalLeavesALine) {
    create(9);
    log_lines.clear();
    op.u.max_vcpus.max = 77;
    EXPECT_EQ(call(XEN_DOMCTL_max_vcpus, 9), -EINVAL);
    ASSERT_EQ(log_lines.size(), 1u);
    EXPECT_EQ(log_lines[0].find("d0: domctl max_vcpus for d9 refused (EINVAL): an argument is "), 0u)
        << log_lines[0];
    EXPECT_NE(log_lines[0].find("; what helps: "), std::string::npos);
    EXPECT_EQ(call(XEN_DOMCTL_max_vcpus, 9), -EINVAL);
    EXPECT_EQ(log_lines.size(), 1u) << "once";
    // An answer rather than a refusal.
    op.u.getvcpuinfo.vcpu = 99;
    EXPECT_EQ(call(XEN_DOMCTL_getvcpuinfo, 9), -ESRCH);
    EXPECT_EQ(log_lines.size(), 1u);
    // One that says it better is not said again.
    EXPECT_EQ(call(XEN_DOMCTL_assign_device, 9), -EOPNOTSUPP);
    EXPECT_EQ(log_lines.size(), 2u);
}

TEST_F(Domctl, IsTheControlDomainsAlone) {
    Domain& other = make_domain(9);
    for (u32 cmd : {XEN_DOMCTL_createdomain, XEN_DOMCTL_getdomaininfo, XEN_DOMCTL_destroydomain}) {
        op.cmd = cmd;
        op.domain = 9;
        op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        put(0, op);
        EXPECT_EQ(run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_domctl, at(0)), -EPERM);
    }
}

}  // namespace
}  // namespace domus::hypercall
