// SPDX-License-Identifier: GPL-2.0-or-later
// Hypercalls of 32-bit guests: registers, structures and lists of their width, made through the dispatch
// edge.
#include <cstring>

#include "abi/xen32.hpp"
#include "core/pages.hpp"
#include "mm/frame_refs.hpp"
#include "pv/m2p.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

constexpr u64 kRubbish = 0xabcd000000000000;  // what may stand above a 32-bit guest's registers

class Guest32Calls : public HypercallTest {
  protected:
    Guest32Calls() {
        EXPECT_TRUE(core::make_32bit(guest));
        machine.now = 1000;
    }

    s64 call(u32 number, u32 a0 = 0, u32 a1 = 0, u32 a2 = 0, u32 a3 = 0, u32 a4 = 0) {
        regs = {};
        regs.rax = kRubbish | number;
        regs.rbx = kRubbish | a0, regs.rcx = kRubbish | a1, regs.rdx = kRubbish | a2,
        regs.rsi = kRubbish | a3;
        regs.rdi = kRubbish | a4;
        again_count = 0;
        do {
            regs.rip = 0x1002;
            dispatch<Layout32>(caller32, regs);
            if (regs.rip != 0x1000) break;
            again_count++;
        } while (true);
        EXPECT_EQ(regs.rax >> 32, 0u) << "results are 32 bits wide";
        return static_cast<s32>(regs.rax);
    }
    template <class T>
    s64 op32(u32 number, u32 command, T& arg) {
        put(0, arg);
        const s64 result = call(number, command, static_cast<u32>(at(0)));
        arg = get<T>(0);
        return result;
    }

    Domain& guest = make_domain(7, 2);
    Vcpu& caller32 = *guest.vcpu(VcpuId(0));
    std::array<TrapGate, 256> gates{};
};

TEST_F(Guest32Calls, HasATableOfItsOwn) {
    EXPECT_EQ(std::string_view(row_of<Layout32>(__HYPERVISOR_set_callbacks).name), "set_callbacks");
    EXPECT_EQ(row_of<Layout32>(__HYPERVISOR_set_callbacks).words, 4u);
    EXPECT_EQ(row_of<Layout64>(__HYPERVISOR_set_callbacks).words, 3u);
    EXPECT_EQ(row_of<Layout32>(__HYPERVISOR_update_descriptor).words, 4u);
    EXPECT_EQ(row_of<Layout32>(__HYPERVISOR_update_va_mapping).words, 4u);
    EXPECT_EQ(row_of<Layout32>(__HYPERVISOR_set_segment_base).thunk, nullptr);
    EXPECT_EQ(call(__HYPERVISOR_set_segment_base), -ENOSYS);
    EXPECT_EQ(call(__HYPERVISOR_domctl, static_cast<u32>(at(0))), -EPERM);
}

TEST_F(Guest32Calls, TakesWideArgumentsInTwoRegisters) {
    // 4.3 s after the start, in the future only if both halves count.
    const u64 when = 0x100000000 + 1234;
    EXPECT_EQ(call(__HYPERVISOR_set_timer_op, static_cast<u32>(when), static_cast<u32>(when >> 32)), 0);
    EXPECT_EQ(caller32.singleshot_timer.when, static_cast<Nanos>(when));
}

TEST_F(Guest32Calls, ReservationsAreListsOfShortNumbers) {
    abi32::MemoryReservation r{.extent_start = static_cast<u32>(at(0x100)),
                               .nr_extents = 3,
                               .extent_order = 0,
                               .mem_flags = 0,
                               .domid = DOMID_SELF};
    put(0x100, std::vector<u32>{10, 20, 30, 0xdead});
    EXPECT_EQ(op32(__HYPERVISOR_memory_op, XENMEM_populate_physmap, r), 3);
    const auto frames = get<u32>(0x100, 4);
    EXPECT_EQ(frames[3], 0xdeadu);
    for (u32 i = 0; i < 3; i++) {
        EXPECT_TRUE(get_page(Mfn(frames[i]), guest.id)) << i;
        EXPECT_EQ(port::m2p32_base()[frames[i]], 10 * (i + 1)) << "its own table knows";
        EXPECT_EQ(pv::m2p(Mfn(frames[i])), 10 * (i + 1));
    }
    EXPECT_EQ(guest.pages.total, 3u);
    EXPECT_EQ(op32(__HYPERVISOR_memory_op, XENMEM_decrease_reservation, r), 3);
    EXPECT_EQ(guest.pages.total, 0u);
    EXPECT_EQ(port::m2p32_base()[frames[0]], ~u32{0});
}

TEST_F(Guest32Calls, GoesOnWhereItWasPreempted) {
    abi32::MemoryReservation r{.extent_start = static_cast<u32>(at(0x100)),
                               .nr_extents = 5,
                               .extent_order = 0,
                               .mem_flags = 0,
                               .domid = DOMID_SELF};
    put(0x100, std::vector<u32>{0, 1, 2, 3, 4});
    machine.preempt = true;
    EXPECT_EQ(op32(__HYPERVISOR_memory_op, XENMEM_populate_physmap, r), 5);
    EXPECT_EQ(again_count, 4u);
    EXPECT_EQ(guest.pages.total, 5u);
    const auto frames = get<u32>(0x100, 5);
    for (u32 i = 0; i < 5; i++) EXPECT_EQ(pv::m2p(Mfn(frames[i])), i) << "none twice";
    // Beyond what fits beside the command, nothing is done.
    r.nr_extents = 1u << 26;
    EXPECT_EQ(op32(__HYPERVISOR_memory_op, XENMEM_populate_physmap, r), 0);
}

TEST_F(Guest32Calls, LearnsItsNodes) {
    Box<core::VirtualNuma> topology = std::move(*make<core::VirtualNuma>());
    topology->nodes = 1;
    topology->distance = std::move(*make_array<u32>(1));
    topology->node_of_vcpu = std::move(*make_array<u32>(2));
    topology->ranges = std::move(*make_array<xen_vmemrange_t>(1));
    topology->distance[0] = 10;
    topology->ranges[0] = {0, 0x4000, 0, 0};
    guest.virtual_numa.set(std::move(topology));
    xen_vnuma_topology_info_t info{};
    info.domid = DOMID_SELF;
    info.nr_vnodes = info.nr_vcpus = info.nr_vmemranges = 4;
    info.vdistance.pad = kRubbish << 16 | at(0x100);  // it sets the lower halves
    info.vcpu_to_vnode.pad = kRubbish << 16 | at(0x200);
    info.vmemrange.pad = kRubbish << 16 | at(0x300);
    EXPECT_EQ(op32(__HYPERVISOR_memory_op, XENMEM_get_vnumainfo, info), 0);
    EXPECT_EQ(info.nr_vcpus, 2u);
    EXPECT_EQ(get<u32>(0x100), 10u);
    EXPECT_EQ(get<xen_vmemrange_t>(0x300).end, 0x4000u);
}

TEST_F(Guest32Calls, ExchangesPages) {
    put(0x100, std::vector<u32>{100});
    abi32::MemoryReservation r{.extent_start = static_cast<u32>(at(0x100)),
                               .nr_extents = 1,
                               .extent_order = 0,
                               .mem_flags = 0,
                               .domid = DOMID_SELF};
    ASSERT_EQ(op32(__HYPERVISOR_memory_op, XENMEM_populate_physmap, r), 1);
    const u32 before = get<u32>(0x100);
    put(0x200, u32{100});
    abi32::MemoryExchange x{.in = r, .out = r, .nr_exchanged = 0};
    x.out.extent_start = static_cast<u32>(at(0x200));
    EXPECT_EQ(op32(__HYPERVISOR_memory_op, XENMEM_exchange, x), 0);
    EXPECT_EQ(x.nr_exchanged, 1u);
    EXPECT_NE(get<u32>(0x200), before);
    EXPECT_TRUE(get_page(Mfn(get<u32>(0x200)), guest.id));
    EXPECT_EQ(guest.pages.total, 1u);
}

TEST_F(Guest32Calls, WhereItsM2pIs) {
    abi32::MachphysMapping m{};
    EXPECT_EQ(op32(__HYPERVISOR_memory_op, XENMEM_machphys_mapping, m), 0);
    EXPECT_EQ(m.v_start, 0xf5800000u);
    EXPECT_EQ(m.v_end, 0xffe00000u);
    EXPECT_EQ(m.max_mfn, (0xffe00000u - 0xf5800000u) / 4 - 1);
    abi32::PlatformParameters p{};
    EXPECT_EQ(op32(__HYPERVISOR_xen_version, XENVER_platform_parameters, p), 0);
    EXPECT_EQ(p.virt_start, 0xf5800000u);
}

TEST_F(Guest32Calls, Multicall) {
    struct Entry {
        u32 op;
        s32 result;
        u32 args[6];
    };
    std::vector<Entry> list(3);
    list[0] = {__HYPERVISOR_xen_version, 0x5555, {XENVER_version}};
    list[1] = {63, 0x5555, {}};
    list[2] = {__HYPERVISOR_multicall, 0x5555, {}};
    put(0x100, list);
    machine.preempt = true;
    EXPECT_EQ(call(__HYPERVISOR_multicall, static_cast<u32>(at(0x100)), 3), 0);
    EXPECT_EQ(again_count, 2u);
    list = get<Entry>(0x100, 3);
    EXPECT_EQ(list[0].result >> 16, 4);
    EXPECT_EQ(list[1].result, -ENOSYS);
    EXPECT_EQ(list[2].result, -EINVAL);
}

TEST_F(Guest32Calls, GrantTable) {
    abi32::GnttabSetupTable setup{
        .dom = DOMID_SELF, .nr_frames = 2, .status = 99, .frame_list = static_cast<u32>(at(0x100))};
    put(0x100, std::vector<u32>{0, 0, 0xdead});
    put(0, setup);
    EXPECT_EQ(call(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, static_cast<u32>(at(0)), 1), 0);
    EXPECT_EQ(get<abi32::GnttabSetupTable>(0).status, GNTST_okay);
    const auto frames = get<u32>(0x100, 3);
    EXPECT_NE(frames[0], 0u);
    EXPECT_NE(frames[1], frames[0]);
    EXPECT_EQ(frames[2], 0xdeadu);

    // The answer lies where a 32-bit guest looks for it.
    abi32::GnttabCopy copy{.source = {.ref_or_gmfn = 5, .domid = 99, .offset = 0},
                           .dest = {.ref_or_gmfn = 6, .domid = DOMID_SELF, .offset = 0},
                           .len = 16,
                           .flags = GNTCOPY_source_gref,
                           .status = 77};
    std::vector<abi32::GnttabCopy> list{copy, copy};
    put(0x200, list);
    EXPECT_EQ(call(__HYPERVISOR_grant_table_op, GNTTABOP_copy, static_cast<u32>(at(0x200)), 2), 0);
    for (const auto& done : get<abi32::GnttabCopy>(0x200, 2)) {
        EXPECT_EQ(done.status, GNTST_bad_domain);
        EXPECT_EQ(done.len, 16u);
    }
}

TEST_F(Guest32Calls, EntryPoints) {
    EXPECT_EQ(call(__HYPERVISOR_set_callbacks, 0xe018, 0xc0100000, 0x60, 0xc0200000), 0);
    EXPECT_EQ(caller32.pv.event_callback, 0xc0100000u);
    EXPECT_EQ(caller32.pv.event_cs, 0xe019u) << "ring 0 becomes ring 1";
    EXPECT_EQ(caller32.pv.failsafe_callback, 0xc0200000u);
    EXPECT_EQ(caller32.pv.failsafe_cs, 0x61u);
    abi32::CallbackRegister r{
        .type = CALLBACKTYPE_sysenter, .flags = CALLBACKF_mask_events, .cs = 0x60, .eip = 0xc0300000};
    EXPECT_EQ(op32(__HYPERVISOR_callback_op, CALLBACKOP_register, r), 0);
    EXPECT_EQ(caller32.pv.sysenter_callback, 0xc0300000u);
    EXPECT_EQ(caller32.pv.sysenter_cs, 0x61u);
    EXPECT_TRUE(caller32.pv.sysenter_masks_events);
    r.type = CALLBACKTYPE_syscall;
    EXPECT_EQ(op32(__HYPERVISOR_callback_op, CALLBACKOP_register, r), -ENOSYS);

    std::vector<trap_info_x86_32> traps(3);
    TrapGate* const own_gates = std::exchange(caller32.pv.traps, gates.data());
    traps[0] = {.vector = 14, .flags = 4, .cs = 0x60, .address = 0xc0000010};
    traps[1] = {.vector = 0x80, .flags = 3, .cs = 0xe019, .address = 0xc0000020};
    put(0x100, traps);
    EXPECT_EQ(call(__HYPERVISOR_set_trap_table, static_cast<u32>(at(0x100))), 0);
    EXPECT_EQ(caller32.pv.traps[14].rip, 0xc0000010u);
    EXPECT_EQ(caller32.pv.traps[14].cs, 0x61u);
    EXPECT_TRUE(caller32.pv.traps[14].masks_events);
    EXPECT_EQ(caller32.pv.traps[0x80].dpl, 3u);
    caller32.pv.traps = own_gates;
    EXPECT_EQ(call(__HYPERVISOR_stack_switch, 0xe020, 0xc0400000), 0);
    EXPECT_EQ(caller32.pv.kernel_ss, 0xe021u);
    EXPECT_EQ(caller32.pv.kernel_sp, 0xc0400000u);
}

TEST_F(Guest32Calls, TimersAndRunstate) {
    // Twelve bytes at the end of what is mapped: no more is read.
    abi32::VcpuSetSingleshotTimer timer{.timeout_abs_ns = 5'000'000, .flags = 0};
    const u64 last = machine.guest.size() - sizeof timer;
    put(last, timer);
    // (It is not the one that runs here. A structure that cannot be read would be told of first.)
    EXPECT_EQ(call(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, static_cast<u32>(at(last))),
              -EINVAL);
    EXPECT_EQ(call(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, static_cast<u32>(at(last + 4))),
              -EFAULT);

    put(0x100, std::vector<u32>{static_cast<u32>(at(0x200)), 0xdeadbeef});  // the pointer of the union alone
    put(0x200 + 44, u32{0xdead});
    EXPECT_EQ(
        call(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, static_cast<u32>(at(0x100))), 0);
    EXPECT_EQ(caller32.runstate_area, at(0x200));
    EXPECT_EQ(get<u32>(0x200 + 44), 0xdeadu) << "44 bytes, not 48";
    abi32::VcpuRunstateInfo asked{};
    put(0x300, asked);
    EXPECT_EQ(call(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, static_cast<u32>(at(0x300))), 0);
    EXPECT_EQ(std::memcmp(&machine.guest.at(0x200), &machine.guest.at(0x300), 12), 0);
}

TEST_F(Guest32Calls, PollsPorts) {
    put(0x100, std::vector<u32>{0});
    abi32::SchedPoll poll{.ports = static_cast<u32>(at(0x100)), .nr_ports = 1, .timeout = 0};
    EXPECT_EQ(op32(__HYPERVISOR_sched_op, SCHEDOP_poll, poll), -EINVAL)
        << "port 0 is none: the list was found";
    poll.ports = 0;
    EXPECT_EQ(op32(__HYPERVISOR_sched_op, SCHEDOP_poll, poll), -EFAULT);
}

TEST_F(Guest32Calls, HypercallPage) {
    std::vector<u8> page(kPageSize);
    fill_hypercall_page32(page.data());
    const u8 stub[] = {0xb8, 13, 0, 0, 0, 0xcd, 0x82, 0xc3, 0xcc};
    EXPECT_EQ(std::memcmp(&page[13 * 32], stub, sizeof stub), 0);
    const u8 iret[] = {0x50, 0xb8, 23, 0, 0, 0, 0xcd, 0x82, 0x0f, 0x0b};
    EXPECT_EQ(std::memcmp(&page[23 * 32], iret, sizeof iret), 0);
}

TEST_F(Guest32Calls, WidthIsForLife) {
    Domain& used = make_domain(8, 1);
    ASSERT_TRUE(core::allocate_pages(used, 0));
    EXPECT_ERROR(core::make_32bit(used), access);
    EXPECT_FALSE(used.is_32bit);
    Domain& late = make_domain(9, 1);
    ASSERT_TRUE(core::vcpu_initialise(late, VcpuId(0), nullptr));
    EXPECT_ERROR(core::make_32bit(late), access);
    Domain& logged = make_domain(10, 1);
    ASSERT_TRUE(logged.dirty_log.begin(logged));
    EXPECT_ERROR(core::make_32bit(logged), access);
    logged.dirty_log.end(logged);
    EXPECT_TRUE(core::make_32bit(logged));
    EXPECT_TRUE(core::make_32bit(guest)) << "it is one";
    EXPECT_TRUE(caller32.pv.is_32bit);
}

TEST_F(Guest32Calls, SharedPageHasItsLayout) {
    auto& shared = *reinterpret_cast<shared_info_x86_32*>(guest.shared);
    EXPECT_EQ(shared.vcpu_info[31].evtchn_upcall_mask, 1u);
    EXPECT_EQ(shared.wc_version & 1, 0u);
    EXPECT_NE(shared.wc_version, 0u);
    machine.wall_clock.seconds = 0;
    guest.time_offset = s64{3} << 32;
    core::publish_wall_clock(guest);
    EXPECT_EQ(shared.arch.wc_sec_hi, 3u);

    const EvtPort port = *core::alloc_unbound(guest, DomId(0));
    const EvtPort peer = *core::bind_interdomain(domain, guest.id, port);
    std::memset(shared.evtchn_pending, 0, sizeof shared.evtchn_pending);
    caller32.info->evtchn_upcall_pending = 0;
    shared.vcpu_info[0].evtchn_pending_sel = 0;
    const u64 cr2_and_more = 0x1122334455667788;
    std::memcpy(&shared.vcpu_info[0].arch, &cr2_and_more, 8);
    EXPECT_TRUE(core::send_event(domain, peer));
    EXPECT_EQ(shared.evtchn_pending[port.v / 32], 1u << port.v % 32);
    EXPECT_EQ(shared.vcpu_info[0].evtchn_pending_sel, 1u << port.v / 32);
    EXPECT_EQ(shared.vcpu_info[0].evtchn_upcall_pending, 1u);
    EXPECT_EQ(std::memcmp(&shared.vcpu_info[0].arch, &cr2_and_more, 8), 0)
        << "64-bit guests have their selector there";
    EXPECT_EQ(guest.events.layout().max_ports, 1024u);
}

}  // namespace
}  // namespace domus::hypercall
