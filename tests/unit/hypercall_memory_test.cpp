// SPDX-License-Identifier: GPL-2.0-or-later
// memory_op.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "abi/xen.hpp"
#include "core/pages.hpp"
#include "hypercall/memory_op.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "pv/m2p.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

class MemoryOp : public HypercallTest {
  protected:
    static constexpr u64 kList = 0x1000, kOutList = 0x8000;

    s64 reserve(u32 command, u64 extents, u32 order = 0, u64 list = at(kList), u16 domid = DOMID_SELF,
                u32 flags = 0) {
        xen_memory_reservation_t r{};
        set_handle(r.extent_start, list);
        r.nr_extents = extents;
        r.extent_order = order;
        r.mem_flags = flags;
        r.domid = domid;
        put(0, r);
        return run(__HYPERVISOR_memory_op, command, at(0));
    }
    std::vector<xen_pfn_t> populate(u64 first_gfn, u64 count, u32 order = 0) {
        std::vector<xen_pfn_t> gfns;
        for (u64 i = 0; i < count; i++) gfns.push_back(first_gfn + (i << order));
        put(kList, gfns);
        EXPECT_EQ(reserve(XENMEM_populate_physmap, count, order), static_cast<s64>(count));
        return get<xen_pfn_t>(kList, count);
    }
    s64 exchange(const std::vector<xen_pfn_t>& in, u32 in_order, const std::vector<xen_pfn_t>& out,
                 u32 out_order, u32 address_bits = 0) {
        put(kList, in);
        put(kOutList, out);
        xen_memory_exchange_t x{};
        set_handle(x.in.extent_start, at(kList));
        x.in.nr_extents = in.size();
        x.in.extent_order = in_order;
        x.in.domid = DOMID_SELF;
        set_handle(x.out.extent_start, at(kOutList));
        x.out.nr_extents = out.size();
        x.out.extent_order = out_order;
        x.out.mem_flags = XENMEMF_address_bits(address_bits);
        x.out.domid = DOMID_SELF;
        put(0, x);
        return run(__HYPERVISOR_memory_op, XENMEM_exchange, at(0));
    }
    u64 exchanged() { return get<xen_memory_exchange_t>(0).nr_exchanged; }
};

TEST_F(MemoryOp, PopulateAndGiveBack) {
    const u64 before = domain.pages.total;
    const auto mfns = populate(1000, 10);
    EXPECT_EQ(domain.pages.total, before + 10);
    EXPECT_EQ(std::set<xen_pfn_t>(mfns.begin(), mfns.end()).size(), 10u);
    for (u64 i = 0; i < 10; i++) {
        EXPECT_EQ(pv::m2p(Mfn(mfns[i])), 1000 + i);
        EXPECT_EQ(frame_of(Mfn(mfns[i])).owner, domain.id);
    }
    EXPECT_EQ(reserve(XENMEM_decrease_reservation, 10), 10);
    EXPECT_EQ(domain.pages.total, before);
    for (const auto m : mfns) EXPECT_EQ(pv::m2p(Mfn(m)), pv::kInvalidM2p);
    EXPECT_EQ(reserve(XENMEM_decrease_reservation, 10), 0) << "no longer the domain's";
}

TEST_F(MemoryOp, LargeExtentsAreContiguousAndAligned) {
    const auto mfns = populate(512, 2, 3);
    for (u64 e = 0; e < 2; e++) {
        EXPECT_EQ(mfns[e] % 8, 0u);
        for (u64 i = 0; i < 8; i++) EXPECT_EQ(pv::m2p(Mfn(mfns[e] + i)), 512 + e * 8 + i);
    }
}

TEST_F(MemoryOp, PagesAreCleared) {
    const Mfn dirty = *alloc_frames(0);
    std::memset(port::frame_ptr<u8>(dirty), 0x5a, kPageSize);
    free_frames(dirty, 0);
    for (const auto m : populate(0, 20)) {
        const u8* p = port::frame_ptr<u8>(Mfn(m));
        EXPECT_TRUE(std::all_of(p, p + kPageSize, [](u8 b) { return b == 0; }));
    }
}

TEST_F(MemoryOp, StopsAtTheLimitAndSaysHowFarItCame) {
    const u64 room = domain.pages.max - domain.pages.total;
    std::vector<xen_pfn_t> gfns(room + 5, 7);
    put(kList, gfns);
    EXPECT_EQ(reserve(XENMEM_populate_physmap, room + 5), static_cast<s64>(room));
    EXPECT_EQ(domain.pages.total, domain.pages.max);
    put(0, domid_t{DOMID_SELF});
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_maximum_reservation, at(0)),
              static_cast<s64>(domain.pages.max));
}

TEST_F(MemoryOp, PreemptedAtEveryExtent) {
    machine.preempt = true;
    const u64 before = domain.pages.total;
    const auto mfns = populate(100, 30);
    EXPECT_EQ(again_count, 29u);
    EXPECT_EQ(domain.pages.total, before + 30);
    for (u64 i = 0; i < 30; i++) EXPECT_EQ(pv::m2p(Mfn(mfns[i])), 100 + i);
    EXPECT_EQ(reserve(XENMEM_decrease_reservation, 30), 30);
    EXPECT_EQ(again_count, 29u);
    EXPECT_EQ(domain.pages.total, before);
}

TEST_F(MemoryOp, PreemptionInsideAMulticall) {
    put(kList, std::vector<xen_pfn_t>(8, 3));
    xen_memory_reservation_t r{};
    set_handle(r.extent_start, at(kList));
    r.nr_extents = 8;
    r.domid = DOMID_SELF;
    put(0, r);
    multicall_entry_t e{};
    e.op = __HYPERVISOR_memory_op;
    e.args[0] = XENMEM_populate_physmap;
    e.args[1] = at(0);
    put(0x200, std::vector{e, e});
    machine.preempt = true;
    const u64 before = domain.pages.total;
    EXPECT_EQ(run(__HYPERVISOR_multicall, at(0x200), 2), 0);
    EXPECT_GT(again_count, 14u);
    for (const auto& done : get<multicall_entry_t>(0x200, 2)) EXPECT_EQ(done.result, 8u);
    EXPECT_EQ(domain.pages.total, before + 16);
}

TEST_F(MemoryOp, IncreaseWithAndWithoutAList) {
    const u64 before = domain.pages.total;
    EXPECT_EQ(reserve(XENMEM_increase_reservation, 3, 0, 0), 3);
    EXPECT_EQ(reserve(XENMEM_increase_reservation, 2), 2);
    EXPECT_EQ(domain.pages.total, before + 5);
    EXPECT_EQ(pv::m2p(Mfn(get<xen_pfn_t>(kList))), pv::kInvalidM2p);
}

TEST_F(MemoryOp, HostileReservations) {
    const u64 before = domain.pages.total;
    EXPECT_EQ(reserve(XENMEM_populate_physmap, ~u64{0}), 0);
    EXPECT_EQ(reserve(XENMEM_populate_physmap, u64{1} << 40, 0, 0xffff830000000000), 0);
    EXPECT_EQ(reserve(XENMEM_populate_physmap, 1, kMaxOrder + 1), 0);
    EXPECT_EQ(reserve(XENMEM_populate_physmap, 1, ~0u), 0);
    EXPECT_EQ(reserve(XENMEM_populate_physmap, 1, 0, at(kList), 99), 0);
    EXPECT_EQ(reserve(XENMEM_populate_physmap, 1, kMaxOrder), 0) << "beyond the limit";
    // Somebody else's pages, no pages at all, the hypervisor's.
    Domain& other = make_running(7);
    const Mfn theirs = *core::allocate_pages(other, 0);
    put(kList, std::vector<xen_pfn_t>{theirs.v, ~u64{0}, u64{1} << 52, 0, 1});
    for (u64 i = 0; i < 5; i++) EXPECT_EQ(reserve(XENMEM_decrease_reservation, 1, 0, at(kList + 8 * i)), 0);
    EXPECT_EQ(frame_of(theirs).owner, other.id);
    for (const u64 address : kBadAddresses) {
        EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_populate_physmap, address), -EFAULT);
        EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_exchange, address), -EFAULT);
    }
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_populate_physmap | ~u64{0} << kExtentShift, at(0)),
              ~u64{0} >> kExtentShift);
    EXPECT_EQ(run(__HYPERVISOR_memory_op, 63, at(0)), -ENOSYS);
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_current_reservation | 1 << kExtentShift, at(0)), -ENOSYS);
    EXPECT_EQ(domain.pages.total, before);
}

TEST_F(MemoryOp, UnwritableListLosesTheExtentButNotTheCount) {
    const u64 before = domain.pages.total;
    EXPECT_EQ(reserve(XENMEM_increase_reservation, 1, 0, 0xffff830000000000), 0);
    EXPECT_EQ(domain.pages.total, before) << "an extent nobody knows of is given back";
}

// ---- exchange -----------------------------------------------------------------------------------

TEST_F(MemoryOp, ExchangeSmallForLarge) {
    const auto in = populate(0, 8);
    const u64 total = domain.pages.total;
    EXPECT_EQ(exchange(in, 0, {300}, 3), 0);
    EXPECT_EQ(exchanged(), 8u);
    EXPECT_EQ(domain.pages.total, total);
    const xen_pfn_t first = get<xen_pfn_t>(kOutList);
    EXPECT_EQ(first % 8, 0u);
    for (u64 i = 0; i < 8; i++) {
        EXPECT_EQ(pv::m2p(Mfn(first + i)), 300 + i);
        EXPECT_EQ(frame_of(Mfn(first + i)).owner, domain.id);
    }
    // And back.
    std::vector<xen_pfn_t> gfns;
    for (u64 i = 0; i < 8; i++) gfns.push_back(i);
    EXPECT_EQ(exchange({first}, 3, gfns, 0), 0);
    EXPECT_EQ(exchanged(), 1u);
    EXPECT_EQ(domain.pages.total, total);
    const auto out = get<xen_pfn_t>(kOutList, 8);
    for (u64 i = 0; i < 8; i++) EXPECT_EQ(pv::m2p(Mfn(out[i])), i);
}

TEST_F(MemoryOp, ExchangeWithoutALimit) {
    domain.pages.max = ~u64{0};
    const auto in = populate(0, 8);
    EXPECT_EQ(exchange(in, 0, {300}, 3), 0);
    EXPECT_EQ(exchanged(), 8u);
    EXPECT_EQ(domain.pages.max, ~u64{0});
}

TEST_F(MemoryOp, NoLimitIsTheLargest32BitNumber) {
    domain.pages.max = ~u64{0};
    put(0, domid_t{DOMID_SELF});
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_maximum_reservation, at(0)), 0xffffffff);
}

TEST_F(MemoryOp, ExchangeBelowAnAddressLimit) {
    const auto in = populate(0, 4);
    EXPECT_EQ(exchange(in, 0, {100}, 2, 12), -ENOMEM);
    EXPECT_EQ(exchange(in, 0, {100}, 2, 22), 0);
    EXPECT_LT(get<xen_pfn_t>(kOutList), (u64{1} << 22) / kPageSize);
}

TEST_F(MemoryOp, ExchangeAtTheLimit) {
    const auto in = populate(0, 4);
    domain.pages.max = domain.pages.total;
    EXPECT_EQ(exchange(in, 0, {100}, 2), 0);
    EXPECT_EQ(domain.pages.max, domain.pages.total);
}

TEST_F(MemoryOp, ExchangeIsPreemptible) {
    const auto in = populate(0, 16);
    const u64 total = domain.pages.total;
    machine.preempt = true;
    EXPECT_EQ(exchange(in, 0, {100, 104, 108, 112}, 2), 0);
    EXPECT_EQ(again_count, 3u);
    EXPECT_EQ(exchanged(), 16u);
    EXPECT_EQ(domain.pages.total, total);
}

// Else a domain gets a large extent for a single page, again and again, until the machine has none left.
TEST_F(MemoryOp, ExchangeTakesEachPageOnce) {
    const auto in = populate(0, 4);
    const u64 total = domain.pages.total, free = heap_free_frames();
    EXPECT_EQ(exchange({in[0], in[1], in[2], in[0]}, 0, {100}, 2), -EINVAL);
    EXPECT_EQ(exchanged(), 0u);
    EXPECT_EQ(domain.pages.total, total);
    EXPECT_EQ(heap_free_frames(), free);
    // All that was taken is as before, and can be exchanged after all.
    u64 listed = 0;
    core::for_each_page(domain.pages, [&](Mfn) { listed++; });
    EXPECT_EQ(listed, total);
    EXPECT_EQ(pv::m2p(Mfn(in[0])), 0u);
    EXPECT_EQ(exchange(in, 0, {100}, 2), 0);
    EXPECT_EQ(domain.pages.total, total);
    EXPECT_EQ(heap_free_frames(), free);
}

TEST_F(MemoryOp, ExchangeRefusesPagesInUse) {
    const auto in = populate(0, 4);
    const u64 total = domain.pages.total;
    {
        const PageRef mapped = *get_page(Mfn(in[2]), domain.id);
        EXPECT_EQ(exchange(in, 0, {100}, 2), -EBUSY);
    }
    EXPECT_EQ(exchanged(), 0u);
    EXPECT_EQ(domain.pages.total, total);
    for (u64 i = 0; i < 4; i++) EXPECT_EQ(pv::m2p(Mfn(in[i])), i) << "nothing has changed";
    Frame& f = frame_of(Mfn(in[1]));
    ASSERT_TRUE(get_writable(f));
    EXPECT_EQ(exchange(in, 0, {100}, 2), -EBUSY);
    put_writable(f);
    EXPECT_EQ(exchange(in, 0, {100}, 2), 0);
}

TEST_F(MemoryOp, ExchangeWithoutMemoryChangesNothing) {
    const auto in = populate(0, 4);
    const u64 total = domain.pages.total, free = heap_free_frames();
    heap_fail_after(2);
    EXPECT_EQ(exchange({in[0], in[1], in[2], in[3]}, 0, {1, 2, 3, 4}, 0), -ENOMEM);
    const u64 done = exchanged();
    EXPECT_LT(done, 4u);
    EXPECT_EQ(domain.pages.total, total);
    EXPECT_EQ(heap_free_frames(), free);
    EXPECT_EQ(pv::m2p(Mfn(in[done])), done);
}

TEST_F(MemoryOp, HostileExchanges) {
    const auto in = populate(0, 4);
    EXPECT_EQ(exchange(in, 0, {1, 2}, 0), -EINVAL) << "sizes differ";
    EXPECT_EQ(exchange(in, 63, {1}, 0), -EPERM);
    EXPECT_EQ(exchange({0, 1, 2, ~u64{0}}, 0, {100}, 2), -EINVAL);
    xen_memory_exchange_t x{};
    x.in.nr_extents = ~u64{0} >> 1;
    x.out.nr_extents = ~u64{0} >> 1;
    x.in.extent_order = x.out.extent_order = 2;
    x.in.domid = x.out.domid = DOMID_SELF;
    put(0, x);
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_exchange, at(0)), -EINVAL);
    x.in.extent_order = x.out.extent_order = 0;
    x.in.nr_extents = x.out.nr_extents = 1;
    x.nr_exchanged = 2;
    put(0, x);
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_exchange, at(0)), -EINVAL);
    x.nr_exchanged = 0;
    put(0, x);
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_exchange, at(0)), -EFAULT);
    x.out.domid = 7;
    put(0, x);
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_exchange, at(0)), -EINVAL);
}

// ---- questions ----------------------------------------------------------------------------------

TEST_F(MemoryOp, Questions) {
    put(0, domid_t{DOMID_SELF});
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_current_reservation, at(0)),
              static_cast<s64>(domain.pages.total));
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_maximum_reservation, at(0)),
              static_cast<s64>(domain.pages.max));
    domain.shared->arch.max_pfn = 100;
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_maximum_gpfn, at(0)), 99);
    // Never an error number, whatever the guest has written or not written yet.
    domain.shared->arch.max_pfn = 0;
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_maximum_gpfn, at(0)), 0);
    domain.shared->arch.max_pfn = ~0ul;
    EXPECT_GT(run(__HYPERVISOR_memory_op, XENMEM_maximum_gpfn, at(0)), 0);
    put(0, domid_t{99});
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_current_reservation, at(0)), -ESRCH);

    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_machphys_mapping, at(0)), 0);
    const auto m = get<xen_machphys_mapping_t>(0);
    EXPECT_EQ(m.v_start, 0xffff800000000000u);
    EXPECT_EQ(m.v_end, 0xffff804000000000u);
    EXPECT_EQ(m.max_mfn, (u64{256} * kGiB / 8) - 1);
}

TEST_F(MemoryOp, MachineMap) {
    static const Platform::MemoryRange map[] = {
        {0, 0x9fc00, 1}, {0x9fc00, 0x400, 2}, {0x100000, 0x7fee0000, 1}};
    platform().machine_map = map;
    xen_memory_map_t arg{};
    arg.nr_entries = 128;
    set_handle(arg.buffer, at(0x100));
    EXPECT_EQ(op(__HYPERVISOR_memory_op, XENMEM_machine_memory_map, arg), 0);
    EXPECT_EQ(arg.nr_entries, 3u);
    EXPECT_EQ(get<u64>(0x100 + 40), 0x100000u);
    EXPECT_EQ(get<u32>(0x100 + 36), 2u);
    arg.nr_entries = 2;
    EXPECT_EQ(op(__HYPERVISOR_memory_op, XENMEM_machine_memory_map, arg), -EINVAL) << "too small";
    set_handle(arg.buffer, 0);
    arg.nr_entries = 0;
    EXPECT_EQ(op(__HYPERVISOR_memory_op, XENMEM_machine_memory_map, arg), 0) << "only the number";
    EXPECT_EQ(arg.nr_entries, 3u);
    arg.nr_entries = ~0u;
    set_handle(arg.buffer, 0xffff830000000000);
    EXPECT_EQ(op(__HYPERVISOR_memory_op, XENMEM_machine_memory_map, arg), -EFAULT);
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_maximum_ram_page), 0x7ffe0);
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_memory_map, at(0)), -ENOSYS);
    Domain& other = make_running(7);
    EXPECT_EQ(run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_memory_op, XENMEM_machine_memory_map, at(0)),
              -EPERM);
}

// An extent is cleared in one step: nobody may ask for one that takes long.
TEST_F(MemoryOp, ExtentsAreCapped) {
    Domain& other = make_running(7);
    EXPECT_EQ(max_extent_order(other), 9u);
    other.hardware = true;
    EXPECT_EQ(max_extent_order(other), 12u);
    other.hardware = false;
    other.privileged = true;
    EXPECT_EQ(max_extent_order(other), 12u);
    other.privileged = false;
    xen_memory_exchange_t x{};
    x.in.domid = x.out.domid = DOMID_SELF;
    x.in.extent_order = x.out.extent_order = 13;
    EXPECT_EQ(op(__HYPERVISOR_memory_op, XENMEM_exchange, x), -EPERM);
}

TEST_F(MemoryOp, NoPhysicalMapForPv) {
    xen_add_to_physmap_t arg{};
    arg.domid = DOMID_SELF;
    EXPECT_EQ(op(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, arg), -EACCES);
    arg.domid = 99;
    EXPECT_EQ(op(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, arg), -ESRCH);
}

}  // namespace
}  // namespace domus::hypercall
