// SPDX-License-Identifier: GPL-2.0-or-later
// memory_op as the toolstack uses it on other domains: building, claims, maps, resources.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "abi/xen.hpp"
#include "core/claims.hpp"
#include "core/pages.hpp"
#include "hypercall/memory_op.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "pv/m2p.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

class MemoryTools : public HypercallTest {
  protected:
    static constexpr u64 kList = 0x1000;
    Domain& guest = make_domain(5, 1, {.max_pages = 100, .max_grant_frames = 16});

    template <class T>
    s64 memory(u32 command, T& arg) {
        return op(__HYPERVISOR_memory_op, command, arg);
    }
    s64 reserve(u32 command, u16 domid, u64 extents, u32 order = 0, u32 flags = 0, u64 list = at(kList)) {
        xen_memory_reservation_t r{};
        set_handle(r.extent_start, list);
        r.nr_extents = extents;
        r.extent_order = order;
        r.mem_flags = flags;
        r.domid = domid;
        return memory(command, r);
    }
    s64 populate(u16 domid, u64 count, u32 order = 0, u32 flags = 0) {
        std::vector<xen_pfn_t> gfns;
        for (u64 i = 0; i < count; i++) gfns.push_back(i << order);
        put(kList, gfns);
        return reserve(XENMEM_populate_physmap, domid, count, order, flags);
    }
    s64 claim(u64 pages, u16 domid = 5, u32 order = 0, u32 flags = 0, u64 list = 0) {
        return reserve(XENMEM_claim_pages, domid, pages, order, flags, list);
    }
    s64 acquire(u32 id, u64 frame, u32 count, u64 list = at(kList), u16 type = XENMEM_resource_grant_table,
                u16 domid = 5, u32 pad = 0) {
        resource = {};
        resource.domid = domid, resource.type = type, resource.id = id, resource.nr_frames = count;
        resource.pad = pad, resource.frame = frame;
        set_handle(resource.frame_list, list);
        return memory(XENMEM_acquire_resource, resource);
    }
    xen_mem_acquire_resource_t resource{};
};

// ---- building -----------------------------------------------------------------------------------

TEST_F(MemoryTools, ADomainIsPopulatedFromOutside) {
    EXPECT_EQ(populate(5, 10, 1), 10);
    EXPECT_EQ(guest.pages.total, 20u);
    for (u64 i = 0; i < 10; i++) {
        const Mfn m(get<xen_pfn_t>(kList + 8 * i));
        EXPECT_EQ(frame_of(m + 1).owner, guest.id);
        EXPECT_EQ(pv::m2p(m + 1), i * 2 + 1);
    }
    EXPECT_EQ(reserve(XENMEM_decrease_reservation, 5, 10, 1), 10);
    EXPECT_EQ(guest.pages.total, 0u);
    EXPECT_EQ(reserve(XENMEM_increase_reservation, 5, 3, 0, 0, 0), 3);
    EXPECT_EQ(guest.pages.total, 3u);
}

TEST_F(MemoryTools, FlagsOfAReservation) {
    EXPECT_EQ(populate(5, 1, 0, XENMEMF_exact_node(0)), 1);
    EXPECT_EQ(populate(5, 1, 0, XENMEMF_exact_node(1)), 0);
    EXPECT_EQ(populate(5, 1, 0, XENMEMF_node(1)), 1) << "preferred: another will do";
    EXPECT_EQ(populate(5, 1, 0, XENMEMF_node(200)), 0);
    EXPECT_EQ(populate(5, 1, 0, XENMEMF_vnode), 1) << "without virtual nodes it means nothing";
    log_lines.clear();
    EXPECT_EQ(populate(5, 1, 0, XENMEMF_populate_on_demand), 0);
    ASSERT_EQ(log_lines.size(), 1u);
    EXPECT_NE(log_lines[0].find("on demand"), std::string::npos);
    EXPECT_EQ(populate(5, 1, 0, XENMEMF_address_bits(12)), 0);
    EXPECT_EQ(populate(5, 1, 0, XENMEMF_address_bits(22)), 1);
    EXPECT_LT(get<xen_pfn_t>(kList), 1024u);
    EXPECT_EQ(guest.pages.total, 4u);
}

TEST_F(MemoryTools, NobodyElseMay) {
    Domain& other = make_running(6, 1);
    put(kList, std::vector<xen_pfn_t>(4, 1));
    const auto refused = [&](u32 command, auto arg, s64 expected) {
        put(0, arg);
        EXPECT_EQ(run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_memory_op, command, at(0)), expected)
            << command;
    };
    xen_memory_reservation_t r{};
    set_handle(r.extent_start, at(kList));
    r.nr_extents = 2;
    r.domid = 5;
    for (u32 command : {XENMEM_populate_physmap, XENMEM_increase_reservation, XENMEM_decrease_reservation})
        refused(command, r, 0);
    EXPECT_EQ(guest.pages.total, 0u);
    set_handle(r.extent_start, 0);
    refused(XENMEM_claim_pages, r, -EPERM);
    r.domid = DOMID_SELF;
    refused(XENMEM_claim_pages, r, -EPERM);
    xen_mem_acquire_resource_t a{};
    a.domid = 5, a.type = XENMEM_resource_grant_table;
    refused(XENMEM_acquire_resource, a, -EPERM);
    xen_foreign_memory_map_t m{};
    m.domid = 5;
    refused(XENMEM_set_memory_map, m, -EPERM);
    m.domid = DOMID_SELF;
    refused(XENMEM_set_memory_map, m, -EPERM);
    xen_pod_target_t p{};
    p.domid = DOMID_SELF;
    refused(XENMEM_get_pod_target, p, -EPERM);
    for (u32 command : {XENMEM_current_reservation, XENMEM_maximum_reservation, XENMEM_maximum_gpfn})
        refused(command, domid_t{5}, -EPERM);
    xen_vnuma_topology_info_t v{};
    v.domid = 5;
    refused(XENMEM_get_vnumainfo, v, -EPERM);
    v.domid = DOMID_SELF;
    refused(XENMEM_get_vnumainfo, v, -EOPNOTSUPP);
}

TEST_F(MemoryTools, ADyingDomainGetsNothing) {
    guest.dying.store(Dying::dying);
    EXPECT_EQ(populate(5, 1), 0);
    EXPECT_EQ(claim(10), -EINVAL);
    EXPECT_EQ(guest.pages.total, 0u);
    const u64 free = heap_free_frames();
    EXPECT_EQ(acquire(0, 3, 1), -EINVAL);
    EXPECT_EQ(heap_free_frames(), free) << "nobody would give such a frame back";
    guest.dying.store(Dying::no);
}

// ---- claims -------------------------------------------------------------------------------------

TEST_F(MemoryTools, ClaimRules) {
    EXPECT_EQ(claim(10, 5, 1), -EINVAL);
    EXPECT_EQ(claim(10, 5, 0, 1), -EINVAL);
    EXPECT_EQ(claim(10, 5, 0, 0, at(kList)), -EINVAL);
    EXPECT_EQ(claim(10, 99), -ESRCH);
    EXPECT_EQ(claim(101), -EINVAL) << "more than it may have";
    EXPECT_EQ(claim(0), 0);
    EXPECT_EQ(populate(5, 3), 3);
    EXPECT_EQ(claim(3), -EINVAL) << "it has them";
    EXPECT_EQ(claim(10), 0);
    EXPECT_EQ(core::outstanding_claim(guest), 7u);
    EXPECT_EQ(claim(11), -EINVAL) << "one claim at a time";
    EXPECT_EQ(populate(5, 2), 2);
    EXPECT_EQ(core::outstanding_claim(guest), 5u);
    EXPECT_EQ(core::outstanding_claims(), 5u);
    EXPECT_EQ(populate(5, 8), 8);
    EXPECT_EQ(core::outstanding_claim(guest), 0u) << "fulfilled";
    EXPECT_EQ(claim(20), 0);
    EXPECT_EQ(claim(0), 0);
    EXPECT_EQ(core::outstanding_claims(), 0u);
}

TEST_F(MemoryTools, NobodyElseGetsWhatIsClaimed) {
    guest.pages.max = domain.pages.max = ~u64{0};
    const u64 free = heap_free_frames();
    EXPECT_EQ(claim(free + 1), -ENOMEM);
    EXPECT_EQ(claim(free - 5), 0);
    Domain& third = make_domain(9, 1, {.max_pages = ~u64{0}});
    const u64 left = heap_free_frames() - core::outstanding_claims();  // making a domain took some
    ASSERT_GT(left, 0u);
    EXPECT_EQ(claim(left + 1, 9), -ENOMEM) << "promised to another";
    std::vector<Mfn> taken;
    for (u64 i = 0; i < left; i++) taken.push_back(*core::allocate_pages(third, 0));
    EXPECT_ERROR(core::allocate_pages(third, 0), nomem);
    EXPECT_ERROR(core::allocate_pages(third, 3), nomem);
    EXPECT_ERROR(core::alloc_unclaimed(0, {}), nomem);
    EXPECT_TRUE(core::allocate_pages(guest, 0));
    EXPECT_ERROR(core::allocate_pages(third, 0), nomem);
    EXPECT_TRUE(core::release_page(third, taken[0]));
    EXPECT_TRUE(core::allocate_pages(third, 0)) << "what comes back is free for all";
    EXPECT_EQ(claim(0), 0);
    EXPECT_TRUE(core::allocate_pages(third, 0));
}

TEST_F(MemoryTools, AFailedAllocationLeavesTheClaim) {
    EXPECT_EQ(claim(50), 0);
    heap_fail_after(0);
    EXPECT_EQ(populate(5, 1, 3), 0);
    EXPECT_EQ(core::outstanding_claim(guest), 50u);
    EXPECT_EQ(populate(5, 1, 3), 1);
    EXPECT_EQ(core::outstanding_claim(guest), 42u);
    destroy(guest);
    EXPECT_EQ(core::outstanding_claims(), 0u) << "it goes with its domain";
}

TEST_F(MemoryTools, ClaimsAgainstAModel) {
    Domain* const domains[] = {&guest, &make_domain(9, 1, {.max_pages = 60}),
                               &make_domain(11, 1, {.max_pages = ~u64{0}})};
    std::mt19937 random(7);
    u64 claimed[3] = {};
    std::vector<Mfn> held[3];
    // Little is left in the heap: claims are what decides.
    std::vector<Mfn> ballast;
    while (heap_free_frames() > 120) ballast.push_back(*alloc_frames(0));
    for (int step = 0; step < 20000; step++) {
        const u32 i = random() % 3;
        Domain& d = *domains[i];
        const u64 promised = claimed[0] + claimed[1] + claimed[2];
        ASSERT_EQ(core::outstanding_claims(), promised);
        const u64 free = heap_free_frames();
        switch (random() % 4) {
            case 0: {
                const u64 n = random() % 3 == 0 ? 0 : random() % 130;
                const auto r = core::claim_pages(d, n);
                if (n == 0) {
                    ASSERT_TRUE(r);
                    claimed[i] = 0;
                } else if (claimed[i] != 0 || n <= held[i].size() || n > d.pages.max) {
                    ASSERT_EQ(error_of(r), Error::inval);
                } else if (n - held[i].size() > free - promised) {
                    ASSERT_EQ(error_of(r), Error::nomem);
                } else {
                    ASSERT_TRUE(r);
                    claimed[i] = n - held[i].size();
                }
                break;
            }
            case 1:
            case 2: {
                const auto r = core::allocate_pages(d, 0);
                const bool allowed = held[i].size() < d.pages.max && (claimed[i] > 0 || free > promised);
                ASSERT_EQ(r.has_value(), allowed);
                if (!r) break;
                held[i].push_back(*r);
                if (claimed[i] > 0) claimed[i]--;
                break;
            }
            default:
                if (held[i].empty()) break;
                ASSERT_TRUE(core::release_page(d, held[i].back()));
                held[i].pop_back();
        }
    }
    for (const Mfn m : ballast) free_frames(m, 0);
}

// ---- maps ---------------------------------------------------------------------------------------

TEST_F(MemoryTools, AMemoryMapIsGivenAndRead) {
    Domain& other = make_running(6, 1);
    const auto read = [&](u32 entries, u64 buffer = at(kList)) {
        xen_memory_map_t m{};
        m.nr_entries = entries;
        set_handle(m.buffer, buffer);
        put(0, m);
        return run_as(*other.vcpu(VcpuId(0)), __HYPERVISOR_memory_op, XENMEM_memory_map, at(0));
    };
    const auto entries = [&] { return get<xen_memory_map_t>(0).nr_entries; };
    const auto give = [&](u32 n, u16 domid = 6, u64 buffer = at(kList)) {
        xen_foreign_memory_map_t f{};
        f.domid = domid;
        f.map.nr_entries = n;
        set_handle(f.map.buffer, buffer);
        return memory(XENMEM_set_memory_map, f);
    };
    EXPECT_EQ(read(10), -ENOSYS) << "none has been given";
    std::vector<core::E820Entry> map;
    for (u32 i = 0; i < 40; i++) map.push_back({i * kGiB, kGiB / 2, i + 1});
    put(kList, map);
    EXPECT_EQ(give(40), 0);
    put(kList, std::vector<u8>(40 * 20));
    EXPECT_EQ(read(100), 0);
    EXPECT_EQ(entries(), 40u);
    EXPECT_EQ(std::memcmp(&machine.guest.at(kList), map.data(), 40 * 20), 0);
    EXPECT_EQ(read(3), 0);
    EXPECT_EQ(entries(), 3u);
    EXPECT_EQ(read(0, 0), 0);
    EXPECT_EQ(entries(), 0u);
    EXPECT_EQ(read(3, 0xffff830000000000), -EFAULT);
    EXPECT_EQ(give(1025), -EINVAL);
    EXPECT_EQ(give(1, 99), -ESRCH);
    EXPECT_EQ(give(1, 6, 0xffff830000000000), -EFAULT);
    EXPECT_EQ(read(100), 0);
    EXPECT_EQ(entries(), 40u) << "a refused one changes nothing";
    EXPECT_EQ(give(0), 0);
    EXPECT_EQ(read(100), 0);
    EXPECT_EQ(entries(), 0u);
    put(0, xen_memory_map_t{});
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_memory_map, at(0)), -ENOSYS);
}

TEST_F(MemoryTools, TheMachineToPhysicalTableIsListed) {
    static const Platform::MemoryRange map[] = {{0, 2 * kGiB, 1}, {4 * kGiB, kGiB, 1}};
    platform().machine_map = map;
    machine.m2p_blocks = {Mfn(512), Mfn(1024), kNoMfn, kNoMfn, Mfn(2048)};
    xen_machphys_mfn_list_t l{};
    l.max_extents = 100;
    set_handle(l.extent_start, at(kList));
    EXPECT_EQ(memory(XENMEM_machphys_mfn_list, l), 0);
    EXPECT_EQ(l.nr_extents, 5u);
    EXPECT_EQ(get<xen_pfn_t>(kList, 5), (std::vector<xen_pfn_t>{512, 1024, 1024, 1024, 2048}));
    l.max_extents = 2;
    EXPECT_EQ(memory(XENMEM_machphys_mfn_list, l), 0);
    EXPECT_EQ(l.nr_extents, 2u);
    l.max_extents = 100;
    EXPECT_EQ(memory(XENMEM_machphys_compat_mfn_list, l), 0);
    EXPECT_EQ(l.nr_extents, 3u) << "a block of the table for 32-bit guests tells of 2 GiB";
    set_handle(l.extent_start, 0xffff830000000000);
    EXPECT_EQ(memory(XENMEM_machphys_mfn_list, l), -EFAULT);
}

TEST_F(MemoryTools, WhatIsSharedReadOnlyStaysSo) {
    const Mfn m = *alloc_frames(0);
    assign_read_only(m, kOwnerXen);
    EXPECT_FALSE(get_page(m, domain.id));
    {
        const PageRef page = *get_page(m, kOwnerXen);
        EXPECT_FALSE(get_writable(page.frame()));
        EXPECT_FALSE(pin_page(page.frame(), PageType::l1, {.owner = kOwnerXen}));
        EXPECT_FALSE(get_page_type(page.frame(), PageType::descriptors, {.owner = kOwnerXen}));
    }
    EXPECT_EQ(frame_of(m).refs.load() & kRefCount, 1u);
    frame_of(m).type.store(0);
    disown_frame(m);
}

// ---- resources ----------------------------------------------------------------------------------

TEST_F(MemoryTools, GrantFramesAreAcquired) {
    EXPECT_EQ(acquire(0, 0, 0, 0), 0);
    EXPECT_EQ(resource.nr_frames, 16u);
    EXPECT_EQ(acquire(0, 1, 3), 0);
    for (u32 i = 0; i < 3; i++) {
        EXPECT_EQ(get<xen_pfn_t>(kList + 8 * i), core::grant_shared_frame(guest, i + 1)->v);
        EXPECT_TRUE(get_page(Mfn(get<xen_pfn_t>(kList + 8 * i)), guest.id)) << "to be mapped as the guest's";
    }
    EXPECT_EQ(core::grant_table_size(guest).frames, 4u);
    EXPECT_EQ(acquire(0, 15, 1), 0);
    EXPECT_EQ(acquire(1, 0, 1), -EINVAL) << "version 1 has no status frames";
    EXPECT_TRUE(core::set_grant_table_version(guest, 2));
    EXPECT_EQ(acquire(1, 0, 1), 0);
    EXPECT_EQ(get<xen_pfn_t>(kList), core::grant_status_frame(guest, 0)->v);
}

TEST_F(MemoryTools, ResourceRefusals) {
    EXPECT_EQ(acquire(0, 0, 0), -EINVAL);
    EXPECT_EQ(acquire(0, 0, 1, 0), -EINVAL);
    EXPECT_EQ(acquire(0, 16, 1), -EINVAL);
    EXPECT_EQ(acquire(0, 14, 3), -EINVAL);
    EXPECT_EQ(acquire(0, ~u64{0}, 1), -EINVAL);
    EXPECT_EQ(acquire(0, 0, ~0u), -EINVAL);
    EXPECT_EQ(acquire(0, u64{1} << 32, 1), -EINVAL);
    EXPECT_EQ(acquire(2, 0, 1), -EINVAL);
    EXPECT_EQ(acquire(0, 0, 1, at(kList), XENMEM_resource_grant_table, 5, 1), -EINVAL);
    for (u16 type : {0, 2, 3, 0xffff}) EXPECT_EQ(acquire(0, 0, 1, at(kList), type), -EOPNOTSUPP);
    EXPECT_EQ(acquire(0, 0, 1, at(kList), XENMEM_resource_grant_table, 99), -ESRCH);
    EXPECT_EQ(acquire(0, 0, 1, at(kList), XENMEM_resource_grant_table, DOMID_SELF), -ESRCH);
    EXPECT_EQ(acquire(0, 0, 1, at(kList), XENMEM_resource_grant_table, 0), -EPERM);
    EXPECT_EQ(acquire(0, 0, 1, 0xffff830000000000), -EFAULT);
    EXPECT_LE(core::grant_table_size(guest).frames, 1u);
    heap_fail_after(0);
    EXPECT_EQ(acquire(0, 5, 1), -ENOMEM);
    EXPECT_EQ(acquire(0, 5, 1), 0);
}

TEST_F(MemoryTools, AcquiringIsPreemptible) {
    machine.preempt = true;
    EXPECT_EQ(acquire(0, 0, 16), 0);
    EXPECT_EQ(again_count, 15u);
    std::set<xen_pfn_t> frames;
    for (u32 i = 0; i < 16; i++) frames.insert(get<xen_pfn_t>(kList + 8 * i));
    EXPECT_EQ(frames.size(), 16u);
    // A guest that makes up a continuation.
    EXPECT_EQ(run(__HYPERVISOR_memory_op, XENMEM_acquire_resource | 100 << kExtentShift, at(0)), -EINVAL);
}

TEST_F(MemoryTools, WhatPvDomainsDoNotHave) {
    xen_pod_target_t p{};
    p.domid = 5;
    EXPECT_EQ(memory(XENMEM_get_pod_target, p), -EINVAL);
    EXPECT_EQ(memory(XENMEM_set_pod_target, p), -EINVAL);
    p.domid = 99;
    EXPECT_EQ(memory(XENMEM_get_pod_target, p), -ESRCH);
    xen_vnuma_topology_info_t v{};
    v.domid = 5;
    EXPECT_EQ(memory(XENMEM_get_vnumainfo, v), -EOPNOTSUPP);
    v.pad = 1;
    EXPECT_EQ(memory(XENMEM_get_vnumainfo, v), -EINVAL);
    xen_reserved_device_memory_map_t r{};
    r.flags = XENMEM_RDM_ALL;
    r.nr_entries = 7;
    EXPECT_EQ(memory(XENMEM_reserved_device_memory_map, r), 0);
    EXPECT_EQ(r.nr_entries, 0u);
    r.flags = 2;
    EXPECT_EQ(memory(XENMEM_reserved_device_memory_map, r), -EINVAL);
    for (u32 command : {XENMEM_access_op, XENMEM_paging_op, XENMEM_sharing_op})
        EXPECT_EQ(run(__HYPERVISOR_memory_op, command, at(0)), -ENOSYS);
}

}  // namespace
}  // namespace domus::hypercall
