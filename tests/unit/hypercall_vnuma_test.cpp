// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's NUMA topology, and device models' targets.
#include "unit/domctl_fixture.hpp"

namespace domus::hypercall {
namespace {

class Vnuma : public Domctl {
  protected:
    static constexpr u64 kDistance = 0x1000, kVcpus = 0x2000, kHost = 0x3000, kRanges = 0x4000, kOut = 0x5000;

    // Two nodes, a CPU in each, three ranges.
    void prepare() {
        op.u.vnuma = {};
        op.u.vnuma.nr_vnodes = 2;
        op.u.vnuma.nr_vcpus = 2;
        op.u.vnuma.nr_vmemranges = 3;
        set_handle(op.u.vnuma.vdistance, at(kDistance));
        set_handle(op.u.vnuma.vcpu_to_vnode, at(kVcpus));
        set_handle(op.u.vnuma.vnode_to_pnode, at(kHost));
        set_handle(op.u.vnuma.vmemrange, at(kRanges));
        put(kDistance, std::vector<u32>{10, 20, 21, 10});
        put(kVcpus, std::vector<u32>{1, 0});
        put(kHost, std::vector<u32>{0, 0});
        put(kRanges,
            std::vector<xen_vmemrange_t>{{0, 0x1000, 0, 0}, {0x1000, 0x3000, 0, 1}, {0x8000, 0x9000, 0, 1}});
    }
    s64 set(u16 id) { return call(XEN_DOMCTL_setvnumainfo, id); }
    s64 get_info(Vcpu& as, u16 id, xen_vnuma_topology_info_t& info) {
        info.domid = id;
        info.vdistance.pad = at(kOut);
        info.vcpu_to_vnode.pad = at(kOut + 0x400);
        info.vmemrange.pad = at(kOut + 0x800);
        put(0, info);
        const s64 result = run_as(as, __HYPERVISOR_memory_op, XENMEM_get_vnumainfo, at(0));
        info = get<xen_vnuma_topology_info_t>(0);
        return result;
    }
};

TEST_F(Vnuma, TellsWhatWasSet) {
    const u16 id = create(5, 2, true);
    Vcpu& guest = *core::find_domain(DomId(id))->vcpu(VcpuId(0));
    xen_vnuma_topology_info_t info{};
    EXPECT_EQ(get_info(guest, DOMID_SELF, info), -EOPNOTSUPP);
    prepare();
    ASSERT_EQ(set(id), 0);
    info.nr_vnodes = 2, info.nr_vcpus = 2, info.nr_vmemranges = 2;
    EXPECT_EQ(get_info(guest, DOMID_SELF, info), -ENOBUFS);
    EXPECT_EQ(info.nr_vmemranges, 3u);
    info.nr_vcpus = 9;
    ASSERT_EQ(get_info(guest, DOMID_SELF, info), 0);
    EXPECT_EQ(info.nr_vcpus, 2u);
    EXPECT_EQ(get<u32>(kOut, 4), (std::vector<u32>{10, 20, 21, 10}));
    EXPECT_EQ(get<u32>(kOut + 0x400, 2), (std::vector<u32>{1, 0}));
    EXPECT_EQ(get<xen_vmemrange_t>(kOut + 0x800, 3)[1].end, 0x3000u);
    // The control domain may look, another guest may not.
    EXPECT_EQ(get_info(vcpu, id, info), 0);
    const u16 other = create(6, 2, true);
    EXPECT_EQ(get_info(*core::find_domain(DomId(other))->vcpu(VcpuId(0)), id, info), -EPERM);
    // A second topology takes the place of the first.
    prepare();
    put(kVcpus, std::vector<u32>{0, 0});
    ASSERT_EQ(set(id), 0);
    ASSERT_EQ(get_info(guest, DOMID_SELF, info), 0);
    EXPECT_EQ(get<u32>(kOut + 0x400, 2), (std::vector<u32>{0, 0}));
    info.vdistance.pad = kBadAddresses[1];
    info.nr_vnodes = info.nr_vcpus = info.nr_vmemranges = 9;
    put(0, info);
    EXPECT_EQ(run_as(guest, __HYPERVISOR_memory_op, XENMEM_get_vnumainfo, at(0)), -EFAULT);
    destroy_by_call(id);
    destroy_by_call(other);
}

TEST_F(Vnuma, RefusesNonsense) {
    const u16 id = create(5, 2, true);
    const auto refused = [&](auto change) {
        prepare();
        change();
        return set(id);
    };
    xen_domctl_vnuma& v = op.u.vnuma;
    EXPECT_EQ(refused([&] { v.pad = 1; }), -EINVAL);
    EXPECT_EQ(refused([&] { v.nr_vnodes = 0; }), -EINVAL);
    EXPECT_EQ(refused([&] { v.nr_vnodes = 33; }), -EINVAL);
    EXPECT_EQ(refused([&] { v.nr_vcpus = 1; }), -EINVAL);
    EXPECT_EQ(refused([&] { v.nr_vnodes = ~0u; }), -EINVAL);
    EXPECT_EQ(refused([&] { v.nr_vnodes = 0x10000; }), -EINVAL) << "whose square is 0 in 32 bits";
    EXPECT_EQ(refused([&] { v.nr_vcpus = ~0u; }), -EINVAL);
    EXPECT_EQ(refused([&] { v.nr_vmemranges = 0; }), -EINVAL);
    EXPECT_EQ(refused([&] { v.nr_vmemranges = 171; }), -EINVAL);
    EXPECT_EQ(refused([&] { v.nr_vmemranges = ~0u; }), -EINVAL);
    EXPECT_EQ(refused([&] { put(kHost, std::vector<u32>{0, 64}); }), -EINVAL);
    EXPECT_EQ(refused([&] { put(kVcpus, std::vector<u32>{0, 2}); }), -EINVAL);
    EXPECT_EQ(refused([&] { put(kRanges, xen_vmemrange_t{0, 0x1000, 0, 2}); }), -EINVAL);
    EXPECT_EQ(refused([&] { put(kRanges, xen_vmemrange_t{0x1000, 0x1000, 0, 0}); }), -EINVAL);
    EXPECT_EQ(refused([&] { put(kRanges, xen_vmemrange_t{0, 0x1000, 1, 0}); }), -EINVAL);
    EXPECT_EQ(refused([&] { set_handle(v.vmemrange, kBadAddresses[2]); }), -EFAULT);
    EXPECT_EQ(refused([&] { set_handle(v.vdistance, kBadAddresses[1]); }), -EFAULT);
    EXPECT_EQ(refused([&] { set_handle(v.vcpu_to_vnode, kBadAddresses[0]); }), -EFAULT);
    EXPECT_EQ(refused([&] { set_handle(v.vnode_to_pnode, kBadAddresses[4]); }), -EFAULT);
    xen_vnuma_topology_info_t info{};
    EXPECT_EQ(get_info(vcpu, id, info), -EOPNOTSUPP) << "nothing of what was refused is kept";
    EXPECT_EQ(get_info(vcpu, 77, info), -ESRCH);
    info.pad = 1;
    EXPECT_EQ(get_info(vcpu, id, info), -EINVAL);
    destroy_by_call(id);
}

TEST_F(Vnuma, AnyAllocationMayFailAndNothingStays) {
    const u16 id = create(5, 2, true);
    const auto largest = [&] {
        prepare();
        op.u.vnuma.nr_vnodes = 32;
        op.u.vnuma.nr_vmemranges = 170;
        put(kDistance, std::vector<u32>(1024, 10));
        put(kHost, std::vector<u32>(32, 0));
        put(kRanges, std::vector<xen_vmemrange_t>(170, {0, 0x1000, 0, 31}));
    };
    const u64 before = objects_bytes_in_use();
    u32 failures = 0;
    for (u64 n = 0;; n++) {
        ASSERT_LT(n, 64u);
        largest();
        heap_fail_after(n);
        const s64 result = set(id);
        heap_fail_after(~u64{0});
        if (result == 0) break;
        ASSERT_EQ(result, -ENOMEM);
        failures++;
        EXPECT_EQ(objects_bytes_in_use(), before);
        EXPECT_EQ(core::find_domain(DomId(id))->virtual_numa.get(), nullptr);
    }
    EXPECT_GE(failures, 2u) << "two of the lists are of a page";
    // Many times one in the place of the other: what has been replaced is freed.
    const u64 with_one = objects_bytes_in_use();
    for (u32 i = 0; i < 5; i++) {
        largest();
        ASSERT_EQ(set(id), 0);
        quiesce();
        act_as(vcpu);
    }
    EXPECT_EQ(objects_bytes_in_use(), with_one);
    destroy_by_call(id);
}

// What get() returned stays until the reader has left the hypervisor.
TEST_F(Vnuma, AReaderKeepsWhatItFound) {
    const u16 id = create(5, 2, true);
    prepare();
    ASSERT_EQ(set(id), 0);
    const core::VirtualNuma* const seen = core::find_domain(DomId(id))->virtual_numa.get();
    put(kVcpus, std::vector<u32>{0, 0});
    prepare();
    ASSERT_EQ(set(id), 0);
    EXPECT_NE(core::find_domain(DomId(id))->virtual_numa.get(), seen);
    EXPECT_EQ(seen->nodes, 2u);
    EXPECT_EQ(seen->node_of_vcpu[0], 1u) << "freed memory, as the sanitiser says";
    quiesce();
    act_as(vcpu);
    destroy_by_call(id);
}

// Memory is asked for by the guest's own node (XENMEMF_vnode).
TEST_F(Vnuma, NodesOfTheGuestForNewMemory) {
    const u16 id = create(5, 2, true);
    Domain& d = *core::find_domain(DomId(id));
    d.pages.max = 100;
    const auto populate = [&](u32 flags) {
        put(kOut, xen_pfn_t{7});
        xen_memory_reservation_t r{};
        set_handle(r.extent_start, at(kOut));
        r.nr_extents = 1;
        r.mem_flags = flags;
        r.domid = id;
        put(0, r);
        return run(__HYPERVISOR_memory_op, XENMEM_populate_physmap, at(0));
    };
    EXPECT_EQ(populate(XENMEMF_vnode | XENMEMF_node(9)), 1) << "means nothing without a topology";
    prepare();
    put(kHost, std::vector<u32>{0, 1});
    ASSERT_EQ(set(id), 0);
    EXPECT_EQ(populate(XENMEMF_vnode | XENMEMF_node(0)), 1);
    EXPECT_EQ(populate(XENMEMF_vnode | XENMEMF_node(1)), 0) << "the host's node 1 does not exist";
    EXPECT_EQ(populate(XENMEMF_vnode | XENMEMF_node(2)), 0) << "nor does the guest's node 2";
    prepare();
    put(kHost, std::vector<u32>{0, ~0u});
    ASSERT_EQ(set(id), 0);
    EXPECT_EQ(populate(XENMEMF_vnode | XENMEMF_node(1)), 1) << "anywhere";
    destroy_by_call(id);
}

TEST_F(Vnuma, NobodyHasEmulatedDevices) {
    const u16 id = create(5), other = create(6);
    op.u.set_target.target = other;
    EXPECT_EQ(call(XEN_DOMCTL_set_target, id), -EOPNOTSUPP);
    op.u.set_target.target = id;
    EXPECT_EQ(call(XEN_DOMCTL_set_target, id), -EINVAL);
    op.u.set_target.target = 77;
    EXPECT_EQ(call(XEN_DOMCTL_set_target, id), -ESRCH);
    destroy_by_call(id);
    destroy_by_call(other);
}

}  // namespace
}  // namespace domus::hypercall
