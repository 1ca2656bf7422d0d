// SPDX-License-Identifier: GPL-2.0-or-later
// Domains' lives: creation, memory, grant tables, destruction, and every allocation failing once.
#include "core/domain.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>
#include <thread>

#include "core/grant_pin.hpp"
#include "core_fixture.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"

namespace domus {
namespace {

class DomainTest : public CoreTest {};

TEST_F(DomainTest, CreationRefusals) {
    EXPECT_ERROR(core::create_domain(DomId(DOMID_FIRST_RESERVED), {}), inval);
    EXPECT_ERROR(core::create_domain(DomId(1), {.max_vcpus = 0}), inval);
    EXPECT_ERROR(core::create_domain(DomId(1), {.max_vcpus = kMaxVcpus + 1}), inval);
    make_domain(1);
    EXPECT_ERROR(core::create_domain(DomId(1), {}), exist);
    Domain& d = *core::find_domain(DomId(1));
    EXPECT_ERROR(core::create_vcpu(d, VcpuId(2)), inval);
    EXPECT_ERROR(core::create_vcpu(d, VcpuId(0)), exist);
    EXPECT_EQ(core::find_domain(DomId(2)), nullptr);
}

TEST_F(DomainTest, TheListIsInOrder) {
    for (u16 id : {300, 5, 0x7fef, 44, 261}) make_domain(id, 1);  // 5 and 261 share a hash bucket
    std::vector<u16> seen;
    for (Domain* d = core::next_domain(DomId(0)); d != nullptr; d = core::next_domain(d->id + 1))
        seen.push_back(d->id.v);
    EXPECT_EQ(seen, (std::vector<u16>{5, 44, 261, 300, 0x7fef}));
    destroy(*core::find_domain(DomId(261)));
    EXPECT_EQ(core::find_domain(DomId(261)), nullptr);
    EXPECT_EQ(core::find_domain(DomId(5))->id, DomId(5));
}

TEST_F(DomainTest, PagesAreCountedAgainstTheLimit) {
    Domain& d = make_domain(1, 1, {.max_pages = 10});
    const Mfn eight = *core::allocate_pages(d, 3);
    EXPECT_EQ(d.pages.total, 8u);
    EXPECT_ERROR(core::allocate_pages(d, 2), nomem);
    EXPECT_ERROR(core::allocate_pages(d, 60), nomem);
    EXPECT_EQ(d.pages.total, 8u);
    ASSERT_TRUE(core::allocate_pages(d, 1));
    EXPECT_ERROR(core::allocate_pages(d, 0), nomem);
    ASSERT_TRUE(core::release_page(d, eight + 3));
    EXPECT_ERROR(core::release_page(d, eight + 3), inval);
    EXPECT_ERROR(core::release_page(d, Mfn(3)), inval);
    EXPECT_EQ(d.pages.total, 9u);
    std::set<u64> listed;
    core::for_each_page(d.pages, [&](Mfn m) { listed.insert(m.v); });
    EXPECT_EQ(listed.size(), 9u);
    EXPECT_FALSE(listed.contains(eight.v + 3));
    EXPECT_EQ(d.pages.peak, 10u);
}

TEST_F(DomainTest, AReferencedPageOutlivesItsRelease) {
    Domain& d = make_domain(1, 1);
    const Mfn m = *core::allocate_pages(d, 0);
    PageRef held = *get_page(m, d.id);
    ASSERT_TRUE(core::release_page(d, m));
    EXPECT_EQ(d.pages.total, 1u);
    EXPECT_ERROR(core::release_page(d, m), inval);
    held.reset();
    EXPECT_EQ(d.pages.total, 0u);
}

TEST_F(DomainTest, DestructionReturnsEverything) {
    make_domain(7, 1);  // warms the allocator's slabs up
    destroy(*core::find_domain(DomId(7)));
    const u64 frames = heap_free_frames(), bytes = objects_bytes_in_use();
    for (int round = 0; round < 3; round++) {
        Domain& d = make_running(1, 2);
        Domain& other = make_domain(2, 1);
        run_all();
        for (int i = 0; i < 5; i++) ASSERT_TRUE(core::allocate_pages(d, 2));
        const Mfn page = *core::allocate_pages(d, 0);
        core::pause_domain(d);
        run_all();
        ASSERT_TRUE(core::vcpu_down(d, VcpuId(1)));
        ASSERT_TRUE(core::register_vcpu_info(d, VcpuId(1), page, 0));
        const EvtPort p = *core::alloc_unbound(d, other.id);
        ASSERT_TRUE(core::bind_interdomain(other, d.id, p));
        ASSERT_TRUE(core::bind_virq(d, VIRQ_TIMER, VcpuId(0)));
        ASSERT_TRUE(core::set_periodic_timer(vcpu(d, 0), kMillisecond, machine.now));
        ASSERT_TRUE(core::watchdog(d, 0, 100, machine.now));
        ASSERT_TRUE(core::grow_grant_table(d, 4));
        ASSERT_TRUE(core::set_grant_table_version(d, 2));
        ASSERT_TRUE(d.iomem_caps.add(4, 9));
        machine.preempt = true;
        destroy(d);
        machine.preempt = false;
        EXPECT_EQ(core::find_domain(DomId(1)), nullptr);
        EXPECT_EQ(core::port_status(other, EvtPort(1))->status, u32{EVTCHNSTAT_unbound});
        destroy(other);
        EXPECT_EQ(objects_bytes_in_use(), bytes);
        EXPECT_EQ(fakes::context.vcpus, 0u);
    }
    EXPECT_EQ(heap_free_frames(), frames);
}

TEST_F(DomainTest, AForeignReferenceKeepsADeadDomain) {
    Domain& d = make_domain(1, 1);
    const Mfn m = *core::allocate_pages(d, 0);
    PageRef held = *get_page(m, d.id);
    destroy(d);
    ASSERT_EQ(core::find_domain(DomId(1)), &d) << "somebody still has a page of it";
    EXPECT_EQ(d.dying.load(), Dying::dead);
    EXPECT_ERROR(core::allocate_pages(d, 0), inval);
    EXPECT_ERROR(core::alloc_unbound(d, DomId(0)), inval);
    EXPECT_ERROR(core::destroy_domain(d), srch);
    held.reset();
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(1)), nullptr);
}

// A dead domain that somebody refers to can still be found: nobody may write where its shared page was.
TEST_F(DomainTest, NobodyWritesToADeadDomainsSharedPage) {
    Domain& d = make_domain(1, 2);
    auto keep = core::DomainRef::get(d);
    const Mfn shared = d.shared_mfn;
    Vcpu& v = vcpu(d, 1);
    destroy(d);
    ASSERT_EQ(core::find_domain(DomId(1)), &d);
    EXPECT_EQ(frame_of(shared).refs.load() & kRefCount, 0u) << "the page is free";
    u8* const bytes = port::frame_ptr<u8>(shared);
    std::memset(bytes, 0x5a, kPageSize);  // what its next owner keeps there
    ASSERT_TRUE(core::set_wall_clock(1000, 500, 0));
    static_cast<void>(core::vcpu_send_nmi(d, VcpuId(1)));
    core::mark_upcall_pending(v);
    EXPECT_EQ(std::count(bytes, bytes + kPageSize, 0x5a), static_cast<std::ptrdiff_t>(kPageSize));
    keep.reset();
    quiesce();
}

// The hypervisor writes to these pages at any time: were one a page table, what it writes would be entries.
TEST_F(DomainTest, ASharedPageIsNeverATable) {
    Domain& d = make_domain(1, 1);
    for (const Mfn m : {d.shared_mfn, *core::grant_shared_frame(d, 0)}) {
        PageRef page = *get_page(m, DomId(1));
        const TableRules rules{.owner = DomId(1)};
        for (const PageType t : {PageType::l1, PageType::l2, PageType::l4, PageType::descriptors})
            EXPECT_ERROR(get_page_type(page.frame(), t, rules), inval) << "before it was ever mapped";
        ASSERT_TRUE(get_writable(page.frame()));
        put_writable(page.frame());
        EXPECT_ERROR(get_page_type(page.frame(), PageType::l2, rules), inval) << "and after";
    }
    destroy(d);
}

// Its number may go to another domain only when nobody has a page of its any more, also of those that the
// hypervisor has lent it.
TEST_F(DomainTest, AMappedSharedPageKeepsADeadDomain) {
    Domain& d = make_domain(1, 1);
    const Mfn grants = *core::grant_shared_frame(d, 0);
    PageRef info = *get_page(d.shared_mfn, DomId(1)), table = *get_page(grants, DomId(1));
    destroy(d);
    EXPECT_EQ(core::find_domain(DomId(1)), &d);
    EXPECT_ERROR(core::create_domain(DomId(1), {}), exist);
    info.reset();
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(1)), &d);
    table.reset();
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(1)), nullptr);
}

TEST_F(DomainTest, ReadersKeepAnUnlinkedDomainUntilTheyHavePassed) {
    Domain& d = make_domain(1, 1);
    ASSERT_TRUE(core::destroy_domain(d));
    // CPU 1 is in the middle of something and may have found it.
    for (int i = 0; i < 5; i++) exit_path(0);
    EXPECT_EQ(core::find_domain(DomId(1)), &d) << "not taken out before CPU 1 has passed";
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(1)), nullptr);
}

TEST_F(DomainTest, DomainRefs) {
    Domain& d = make_domain(1, 1);
    core::DomainRef r = core::DomainRef::get(d);
    ASSERT_TRUE(r);
    destroy(d);
    EXPECT_EQ(core::find_domain(DomId(1)), &d);
    core::DomainRef moved = std::move(r);
    EXPECT_FALSE(r);
    moved.reset();
    EXPECT_FALSE(core::DomainRef::get(d)) << "on its way out";
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(1)), nullptr);
}

TEST_F(DomainTest, EveryAllocationMayFail) {
    destroy(make_domain(7, 2));
    const u64 bytes = objects_bytes_in_use();
    bool complete = false;
    for (u64 n = 0; !complete; n++) {
        ASSERT_LT(n, 1000u);
        const u64 frames = heap_free_frames();
        // Slabs that earlier rounds left would hide failures: start each round without.
        heap_fail_after(n);
        auto d = core::create_domain(DomId(1), {.max_vcpus = 40, .max_pages = 64});
        if (d) {
            bool all = true;
            for (u32 i = 0; i < 40 && all; i++) all = core::create_vcpu(**d, VcpuId(i)).has_value();
            all = all && core::alloc_unbound(**d, DomId(3)) && core::grow_grant_table(**d, 3) &&
                  core::set_grant_table_version(**d, 2) && core::allocate_pages(**d, 3) &&
                  (*d)->iomem_caps.add(1, 2);
            complete = all;
            heap_fail_after(~u64{0});
            destroy(**d);
        } else {
            EXPECT_EQ(d.error(), Error::nomem);
            heap_fail_after(~u64{0});
            EXPECT_EQ(core::find_domain(DomId(1)), nullptr);
        }
        EXPECT_EQ(objects_bytes_in_use(), bytes) << "after failing allocation " << n;
        if (n > 0 && complete) {
            EXPECT_EQ(heap_free_frames(), frames);
        }
    }
}

TEST_F(DomainTest, GrantTableGrowsToItsLimit) {
    Domain& d = make_domain(1, 1, {.max_grant_frames = 4});
    EXPECT_EQ(core::grant_table_size(d).frames, 0u);
    const Mfn first = *core::grant_shared_frame(d, 0);
    EXPECT_EQ(frame_of(first).owner, d.id);
    EXPECT_EQ(*core::grant_shared_frame(d, 0), first);
    EXPECT_TRUE(core::grant_shared_frame(d, 3));
    EXPECT_EQ(core::grant_table_size(d).frames, 4u);
    EXPECT_ERROR(core::grant_shared_frame(d, 4), nospc);
    EXPECT_ERROR(core::grant_shared_frame(d, ~0u), nospc);
    EXPECT_ERROR(core::grow_grant_table(d, ~0u), nospc);
    EXPECT_ERROR(core::grant_status_frame(d, 0), inval);
    // The guest may give the frame up as if it were its own; the table goes on using it.
    EXPECT_TRUE(core::release_page(d, first));
    EXPECT_EQ(d.pages.total, 0u);
    port::frame_ptr<u8>(first)[0] = 1;
}

TEST_F(DomainTest, AChangeOfVersionWaitsForWhoIsAtAnEntry) {
    Domain& d = make_domain(1, 1);
    ASSERT_TRUE(core::grow_grant_table(d, 2));
    std::thread changer, user;
    std::atomic<bool> tried{false};
    {
        core::EntryLock lock(d.grants, *d.grants.pins_of(600));
        EXPECT_EQ(lock.version, 1u);
        changer = std::thread([&d] { EXPECT_TRUE(core::set_grant_table_version(d, 2)); });
        while ((d.grants.version.load() & core::GrantTable::kChanging) == 0) std::this_thread::yield();
        EXPECT_EQ(core::grant_table_version(d), 1u);
        // One who comes now waits for the new version.
        user = std::thread([&] {
            const core::EntryLock late(d.grants, *d.grants.pins_of(3));
            EXPECT_EQ(late.version, 2u);
            tried.store(true);
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_FALSE(tried.load());
    }
    changer.join();
    user.join();
    EXPECT_EQ(core::grant_table_version(d), 2u);
}

TEST_F(DomainTest, GrantVersions) {
    Domain& d = make_domain(1, 1);
    EXPECT_EQ(core::grant_table_version(d), 1u);
    EXPECT_ERROR(core::set_grant_table_version(d, 0), inval);
    EXPECT_ERROR(core::set_grant_table_version(d, 3), inval);
    auto* v1 = port::frame_ptr<grant_entry_v1_t>(*core::grant_shared_frame(d, 0));
    v1[1] = {.flags = GTF_permit_access, .domid = 9, .frame = 0x1234};
    v1[20] = {.flags = GTF_permit_access, .domid = 9, .frame = 0x99};
    ASSERT_TRUE(core::pin_grant(d.grants, 20, DomId(9), {}));
    EXPECT_ERROR(core::set_grant_table_version(d, 2), busy);
    core::unpin_grant(d.grants, 20, false);
    ASSERT_TRUE(core::set_grant_table_version(d, 2));
    EXPECT_EQ(core::grant_status_frame_count(d), 1u);
    EXPECT_TRUE(core::grant_status_frame(d, 0));
    auto* v2 = reinterpret_cast<grant_entry_v2_t*>(v1);
    EXPECT_EQ(v2[1].hdr.flags, GTF_permit_access);
    EXPECT_EQ(v2[1].hdr.domid, 9);
    EXPECT_EQ(v2[1].full_page.frame, 0x1234u);
    EXPECT_EQ(v2[10].hdr.flags, 0);
    ASSERT_TRUE(core::set_grant_table_version(d, 1));
    EXPECT_EQ(v1[1].frame, 0x1234u);
    EXPECT_EQ(v1[20].frame, 0u);
    // The status frames are kept: the guest may have them mapped, and could multiply them by switching.
    EXPECT_EQ(core::grant_status_frame_count(d), 1u);
    EXPECT_ERROR(core::grant_status_frame(d, 0), inval);
    v1[2].flags = GTF_transitive;
    EXPECT_ERROR(core::set_grant_table_version(d, 2), inval);
    EXPECT_EQ(core::grant_table_version(d), 1u);
    EXPECT_EQ(v1[1].frame, 0x1234u);
    v1[2].flags = 0;
    ASSERT_TRUE(core::set_grant_table_version(d, 2));
    v2[1].full_page.frame = u64{1} << 32;
    EXPECT_ERROR(core::set_grant_table_version(d, 1), range);
    v2[1].full_page.frame = 5;
    v2[1].hdr.flags = GTF_permit_access | GTF_sub_page;
    EXPECT_ERROR(core::set_grant_table_version(d, 1), inval);
    v2[1].hdr.flags = GTF_permit_access;
    EXPECT_TRUE(core::set_grant_table_version(d, 1));
    EXPECT_EQ(core::grant_status_frame_count(d), 1u);
    Domain& old = make_domain(2, 1, {.max_grant_version = 1});
    EXPECT_ERROR(core::set_grant_table_version(old, 2), nosys);
}

}  // namespace
}  // namespace domus
