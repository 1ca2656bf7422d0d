// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl: what the toolstack asks of the machine. Expected answers to odd arguments are the reference's.
#include <gtest/gtest.h>

#include <string>

#include "core/trace.hpp"
#include "fakes/cpuid.hpp"
#include "fakes/topology.hpp"
#include "mm/heap.hpp"
#include "unit/sysctl_fixture.hpp"

namespace domus::hypercall {
namespace {

std::string keys;

class Sysctl : public SysctlTest {
  protected:
    ~Sysctl() override {
        fakes::topology.clear();
        fakes::cpuid_leaves.clear();
    }
    s64 call(u32 command, xen_sysctl_t& s) { return sysctl(command, s); }
    static constexpr u64 kBuffer = 0x1000, kBuffer2 = 0x2000;
    xen_sysctl_t s{};
};

TEST_F(Sysctl, OnlyForControl) {
    Domain& other = make_running(7);
    s.cmd = XEN_SYSCTL_physinfo;
    s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    put(kOp, s);
    EXPECT_EQ(run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_sysctl, at(kOp)), -EPERM);
    s.interface_version++;
    put(kOp, s);
    EXPECT_EQ(run(__HYPERVISOR_sysctl, at(kOp)), -EACCES);
    EXPECT_EQ(call(0, s), -ENOSYS);
    EXPECT_EQ(call(99, s), -ENOSYS);
    for (const u64 bad : kBadAddresses) EXPECT_EQ(run(__HYPERVISOR_sysctl, bad), -EFAULT);
}

TEST_F(Sysctl, PhysicalInfo) {
    platform().total_pages = 4000;
    fakes::topology = {{.core = 0}, {.core = 1}};
    fakes::cpuid_leaves[{0, 0}] = {.eax = 7, .ebx = 0x68747541};
    fakes::cpuid_leaves[{1, 0}] = {.ecx = 0x80002001, .edx = 0x178bfbfd};
    fakes::cpuid_leaves[{7, 0}] = {.ebx = 5, .ecx = 6};
    fakes::cpuid_leaves[{0xd, 1}] = {.eax = 1};  // beyond the last leaf: not there
    fakes::cpuid_leaves[{0x80000000, 0}] = {.eax = 0x80000008};
    fakes::cpuid_leaves[{0x80000001, 0}] = {.ecx = 7, .edx = 0x2193fbfd};
    fakes::cpuid_leaves[{0x80000007, 0}] = {.edx = 0x100};
    ASSERT_EQ(call(XEN_SYSCTL_physinfo, s), 0);
    const xen_sysctl_physinfo& p = s.u.physinfo;
    EXPECT_EQ(p.threads_per_core, 1u);
    EXPECT_EQ(p.cores_per_socket, 2u);
    EXPECT_EQ(p.nr_cpus, 2u);
    EXPECT_EQ(p.max_cpu_id, 1u);
    EXPECT_EQ(p.nr_nodes, 1u);
    EXPECT_EQ(p.cpu_khz, port::tsc_khz());
    EXPECT_EQ(p.total_pages, 4000u);
    EXPECT_EQ(p.free_pages, heap_free_frames());
    EXPECT_EQ(p.max_mfn, kFrames - 1);
    EXPECT_NE(p.capabilities & XEN_SYSCTL_PHYSCAP_pv, 0u);
    EXPECT_LE(p.capabilities, 2u * XEN_SYSCTL_PHYSCAP_MAX - 1);
    const u32 expected[8] = {0x178bf3fd, 0x80002001, 0x20100800, 7, 0, 5, 6, 0x100};
    for (int i = 0; i < 8; i++) EXPECT_EQ(p.hw_cap[i], expected[i]) << i;

    fakes::topology = {{.thread = 0}, {.thread = 1}};
    ASSERT_EQ(call(XEN_SYSCTL_physinfo, s), 0);
    EXPECT_EQ(s.u.physinfo.threads_per_core, 2u);
    EXPECT_EQ(s.u.physinfo.cores_per_socket, 1u);
}

TEST_F(Sysctl, CpuInfo) {
    idle(1);
    advance(5 * kMillisecond);
    s.u.getcpuinfo.max_cpus = 8;
    set_handle(s.u.getcpuinfo.info, at(kBuffer));
    put(kBuffer, std::vector<u64>(4, 77));
    ASSERT_EQ(call(XEN_SYSCTL_getcpuinfo, s), 0);
    EXPECT_EQ(s.u.getcpuinfo.nr_cpus, 2u);
    const auto times = get<u64>(kBuffer, 4);
    EXPECT_EQ(times[0], 0u);
    EXPECT_GE(times[1], 5'000'000u);
    EXPECT_EQ(times[2], 77u);
    s.u.getcpuinfo.max_cpus = 1;
    ASSERT_EQ(call(XEN_SYSCTL_getcpuinfo, s), 0);
    EXPECT_EQ(s.u.getcpuinfo.nr_cpus, 1u);
    set_handle(s.u.getcpuinfo.info, 0);
    EXPECT_EQ(call(XEN_SYSCTL_getcpuinfo, s), -EFAULT);
}

TEST_F(Sysctl, CpuTopology) {
    fakes::topology = {{.thread = 0, .core = 3, .socket = 1}, {.thread = 1, .core = 4, .socket = 2}};
    auto& t = s.u.cputopoinfo;
    t.num_cpus = 0;
    ASSERT_EQ(call(XEN_SYSCTL_cputopoinfo, s), 0);
    EXPECT_EQ(t.num_cpus, 2u) << "without a list it is the question how many there are";
    set_handle(t.cputopo, at(kBuffer));
    t.num_cpus = 5;
    put(kBuffer, std::vector<u32>(9, 77));
    ASSERT_EQ(call(XEN_SYSCTL_cputopoinfo, s), 0);
    EXPECT_EQ(t.num_cpus, 2u);
    EXPECT_EQ(get<u32>(kBuffer, 9), (std::vector<u32>{3, 1, 0, 4, 2, 0, 77, 77, 77}));
    t.num_cpus = 1;
    put(kBuffer, std::vector<u32>(9, 77));
    ASSERT_EQ(call(XEN_SYSCTL_cputopoinfo, s), 0);
    EXPECT_EQ(t.num_cpus, 1u);
    EXPECT_EQ(get<u32>(kBuffer, 4), (std::vector<u32>{3, 1, 0, 77}));
    set_handle(t.cputopo, 0xffff800000000000);
    EXPECT_EQ(call(XEN_SYSCTL_cputopoinfo, s), -EFAULT);
}

TEST_F(Sysctl, Nodes) {
    auto& n = s.u.numainfo;
    ASSERT_EQ(call(XEN_SYSCTL_numainfo, s), 0);
    EXPECT_EQ(n.num_nodes, 1u);
    n.num_nodes = 4;
    set_handle(n.meminfo, at(kBuffer));
    set_handle(n.distance, at(kBuffer2));
    put(kBuffer, std::vector<u64>(3, 77));
    put(kBuffer2, std::vector<u32>(2, 77));
    ASSERT_EQ(call(XEN_SYSCTL_numainfo, s), 0);
    EXPECT_EQ(n.num_nodes, 1u);
    EXPECT_EQ(get<u64>(kBuffer, 3),
              (std::vector<u64>{kFrames * kPageSize, heap_free_frames() * kPageSize, 77}));
    EXPECT_EQ(get<u32>(kBuffer2, 2), (std::vector<u32>{10, 77}));
    n.num_nodes = 0;
    ASSERT_EQ(call(XEN_SYSCTL_numainfo, s), 0);
    EXPECT_EQ(n.num_nodes, 0u);
}

TEST_F(Sysctl, AvailableHeap) {
    auto& a = s.u.availheap;
    const auto ask = [&](u32 min, u32 max, s32 node) {
        a.min_bitwidth = min, a.max_bitwidth = max, a.node = node;
        EXPECT_EQ(call(XEN_SYSCTL_availheap, s), 0);
        return a.avail_bytes;
    };
    const u64 all = heap_free_frames() * kPageSize;
    EXPECT_EQ(ask(0, 0, -1), all);
    EXPECT_EQ(ask(0, 0, 0), all);
    EXPECT_EQ(ask(0, 0, 1), 0u);
    EXPECT_EQ(ask(0, 64, -1), all);
    EXPECT_EQ(ask(25, 0, -1), 0u) << "the machine ends at 16 MiB";
    const u64 upper = ask(24, 24, -1), lower = ask(0, 23, -1);
    EXPECT_GT(upper, 0u);
    EXPECT_GT(lower, 0u);
    EXPECT_EQ(upper + lower, all);
    EXPECT_EQ(ask(40, 30, -1), 0u);
}

TEST_F(Sysctl, PagesOutOfUse) {
    auto& p = s.u.page_offline;
    const auto ask = [&](u32 command, u32 first, u32 last) {
        p = {};
        p.cmd = command, p.start = first, p.end = last;
        set_handle(p.status, at(0x400));
        EXPECT_EQ(call(XEN_SYSCTL_page_offline_op, s), 0);
        return get<u32>(0x400, last - first + 1);
    };
    using Words = std::vector<u32>;
    const Mfn mine = *core::allocate_pages(domain, 0, {});
    const Mfn own = *alloc_frames(0);
    const u64 free = heap_free_frames();
    EXPECT_EQ(ask(sysctl_page_offline, 3000, 3002), Words(3, PG_OFFLINE_OFFLINED));
    EXPECT_EQ(heap_free_frames(), free - 3);
    machine.preempt = true;
    EXPECT_EQ(ask(sysctl_query_page_offline, 2999, 3003),
              (Words{PG_OFFLINE_STATUS_ONLINE, PG_OFFLINE_STATUS_OFFLINED, PG_OFFLINE_STATUS_OFFLINED,
                     PG_OFFLINE_STATUS_OFFLINED, PG_OFFLINE_STATUS_ONLINE}));
    EXPECT_EQ(again_count, 4u);
    machine.preempt = false;
    const auto frame = static_cast<u32>(mine.v), hidden = static_cast<u32>(own.v);
    EXPECT_EQ(ask(sysctl_page_offline, frame, frame), Words{PG_OFFLINE_PENDING | PG_OFFLINE_OWNED})
        << "domain 0's";
    EXPECT_EQ(ask(sysctl_page_offline, hidden, hidden),
              Words{PG_OFFLINE_PENDING | PG_OFFLINE_XENPAGE | u32{DOMID_XEN} << PG_OFFLINE_OWNER_SHIFT});
    EXPECT_EQ(ask(sysctl_query_page_offline, frame, frame), Words{PG_OFFLINE_STATUS_OFFLINE_PENDING});
    ASSERT_TRUE(core::release_page(domain, mine));
    EXPECT_EQ(ask(sysctl_query_page_offline, frame, frame), Words{PG_OFFLINE_STATUS_OFFLINED});
    EXPECT_EQ(heap_free_frames(), free - 3);
    EXPECT_EQ(ask(sysctl_page_online, 3000, 3002), Words(3, PG_ONLINE_ONLINED));
    EXPECT_EQ(ask(sysctl_page_online, frame, frame), Words{PG_ONLINE_ONLINED});
    EXPECT_EQ(ask(sysctl_page_online, hidden, hidden), Words{PG_ONLINE_ONLINED});
    free_frames(own, 0);
    EXPECT_EQ(heap_free_frames(), free + 2);
    EXPECT_EQ(ask(sysctl_page_offline, ~u32{0} - 1, ~u32{0}), Words(2, PG_OFFLINE_INVALID));

    p.cmd = 0;
    EXPECT_EQ(call(XEN_SYSCTL_page_offline_op, s), -EINVAL);
    p.cmd = sysctl_query_page_offline, p.start = 2, p.end = 1;
    EXPECT_EQ(call(XEN_SYSCTL_page_offline_op, s), -EINVAL);
    p.end = 2;
    set_handle(p.status, kBadAddresses[2]);
    EXPECT_EQ(call(XEN_SYSCTL_page_offline_op, s), -EFAULT);
}

TEST_F(Sysctl, PciTopology) {
    platform().pci_known = [](PciAddress a) { return a.bus == 0; };
    auto& p = s.u.pcitopoinfo;
    EXPECT_EQ(call(XEN_SYSCTL_pcitopoinfo, s), -EINVAL);
    set_handle(p.devs, at(kBuffer));
    set_handle(p.nodes, at(kBuffer2));
    put(kBuffer, std::vector<physdev_pci_device_t>{{0, 0, 8}, {0, 5, 8}, {0, 0, 0}});
    p.num_devs = 2;
    put(kBuffer2, std::vector<u32>(3, 77));
    ASSERT_EQ(call(XEN_SYSCTL_pcitopoinfo, s), 0);
    EXPECT_EQ(p.num_devs, 2u);
    EXPECT_EQ(get<u32>(kBuffer2, 3), (std::vector<u32>{XEN_INVALID_NODE_ID, XEN_INVALID_DEV, 77}));
    // A long list may be answered in parts.
    machine.preempt = true;
    p.num_devs = 3;
    ASSERT_EQ(call(XEN_SYSCTL_pcitopoinfo, s), 0);
    EXPECT_EQ(p.num_devs, 1u);
}

TEST_F(Sysctl, DebugKeys) {
    keys.clear();
    EXPECT_EQ(call(XEN_SYSCTL_debug_keys, s), -ENOSYS);
    platform().debug_key = [](char c) {
        keys += c;
        return c != '?';
    };
    put(kBuffer, std::vector<char>{'r', '?', 'q'});
    set_handle(s.u.debug_keys.keys, at(kBuffer));
    s.u.debug_keys.nr_keys = 3;
    EXPECT_EQ(call(XEN_SYSCTL_debug_keys, s), 0);
    EXPECT_EQ(keys, "r?q");
    keys.clear();
    set_handle(s.u.debug_keys.keys, at(kBuffer));
    s.u.debug_keys.nr_keys = 3;
    machine.preempt = true;
    EXPECT_EQ(call(XEN_SYSCTL_debug_keys, s), 0);
    machine.preempt = false;
    EXPECT_EQ(keys, "r?q") << "in three steps";
    EXPECT_EQ(again_count, 2u);
    s.u.debug_keys.nr_keys = ~0u;
    EXPECT_EQ(call(XEN_SYSCTL_debug_keys, s), -E2BIG);
    s.u.debug_keys.nr_keys = 1;
    set_handle(s.u.debug_keys.keys, 0);
    EXPECT_EQ(call(XEN_SYSCTL_debug_keys, s), -EFAULT);
}

TEST_F(Sysctl, ThePoolOfAll) {
    ASSERT_EQ(call(XEN_SYSCTL_sched_id, s), 0);
    EXPECT_EQ(s.u.sched_id.sched_id, u32{XEN_SCHEDULER_CREDIT2});
    s = {};
    auto& p = s.u.cpupool_op;
    p.op = XEN_SYSCTL_CPUPOOL_OP_INFO;
    set_handle(p.cpumap.bitmap, at(kBuffer));
    p.cpumap.nr_bits = 16;
    put(kBuffer, std::vector<u8>(4, 0xee));
    ASSERT_EQ(call(XEN_SYSCTL_cpupool_op, s), 0);
    EXPECT_EQ(p.cpupool_id, 0u);
    EXPECT_EQ(p.sched_id, u32{XEN_SCHEDULER_CREDIT2});
    EXPECT_EQ(p.n_dom, 1u);
    EXPECT_EQ(get<u8>(kBuffer, 4), (std::vector<u8>{3, 0, 0xee, 0xee}));
    p.cpupool_id = 1;
    EXPECT_EQ(call(XEN_SYSCTL_cpupool_op, s), -ENOENT) << "the end of the walk";
    p.op = 9;
    EXPECT_EQ(call(XEN_SYSCTL_cpupool_op, s), -ENOSYS);
}

TEST_F(Sysctl, TraceBuffers) {
    core::forget_trace_buffers();
    const auto op = [&](u32 cmd) {
        s.u.tbuf_op.cmd = cmd;
        return call(XEN_SYSCTL_tbuf_op, s);
    };
    EXPECT_EQ(op(XEN_SYSCTL_TBUFOP_enable), -EINVAL);
    EXPECT_EQ(op(XEN_SYSCTL_TBUFOP_set_size), -EINVAL);
    EXPECT_EQ(op(9), -EINVAL);
    s.u.tbuf_op.evt_mask = TRC_PV;
    EXPECT_EQ(op(XEN_SYSCTL_TBUFOP_set_evt_mask), 0);
    const u8 cpus = 1;
    put(kBuffer, cpus);
    s.u.tbuf_op.cpu_mask.nr_bits = 8;
    set_handle(s.u.tbuf_op.cpu_mask.bitmap, at(kBuffer));
    EXPECT_EQ(op(XEN_SYSCTL_TBUFOP_set_cpu_mask), 0);
    set_handle(s.u.tbuf_op.cpu_mask.bitmap, kBadAddresses[1]);
    EXPECT_EQ(op(XEN_SYSCTL_TBUFOP_set_cpu_mask), -EFAULT);
    s.u.tbuf_op.size = 2;
    machine.preempt = true;
    EXPECT_EQ(op(XEN_SYSCTL_TBUFOP_set_size), 0);
    EXPECT_GT(again_count, 0u);
    machine.preempt = false;
    EXPECT_EQ(op(XEN_SYSCTL_TBUFOP_enable), 0);
    EXPECT_EQ(op(XEN_SYSCTL_TBUFOP_get_info), 0);
    EXPECT_EQ(s.u.tbuf_op.evt_mask, static_cast<u32>(TRC_PV));
    EXPECT_EQ(s.u.tbuf_op.size, kPageSize);
    auto* info = port::frame_ptr<t_info>(Mfn(s.u.tbuf_op.buffer_mfn));
    ASSERT_EQ(info->tbuf_size, 2);
    const Mfn first(reinterpret_cast<u32*>(info)[info->mfn_offset[0]]);
    // This very call is in it: header, time, number with two arguments of 64 bits, and those.
    const u32* record = port::frame_ptr<u32>(first) + 2;
    EXPECT_EQ(TRC_HD_TO_EVENT(record[0]), static_cast<u32>(TRC_PV_HYPERCALL_V2));
    EXPECT_EQ(TRC_HD_EXTRA(record[0]), 5u);
    EXPECT_EQ(record[3], __HYPERVISOR_sysctl | TRC_PV_HYPERCALL_V2_ARG_64(0) | TRC_PV_HYPERCALL_V2_ARG_64(1));
    EXPECT_EQ(record[4] | u64{record[5]} << 32, at(kOp));
    EXPECT_EQ(op(XEN_SYSCTL_TBUFOP_disable), 0);
    EXPECT_FALSE(core::tracing(TRC_PV_HYPERCALL_V2));
    core::forget_trace_buffers();
}

}  // namespace
}  // namespace domus::hypercall
