// SPDX-License-Identifier: GPL-2.0-or-later
// Mapping granted frames into a PV guest's page tables, and taking them out again.
#include "grant_fixture.hpp"

namespace domus::hypercall {
namespace {

class GrantMap : public GrantTest {};

TEST_F(GrantMap, MapsAndUnmaps) {
    const Mfn m = page_of(guest);
    grant(guest, 8, m);
    const auto done = map(8, va(5));
    ASSERT_EQ(done.status, GNTST_okay);
    EXPECT_EQ(done.dev_bus_addr, m.v << kPageShift);
    EXPECT_EQ(table(l1)[5], Pte(m, kRw | Pte::kUser | Pte::kAccessed | Pte::kDirty | Pte::kNoExecute));
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access | GTF_reading | GTF_writing);
    EXPECT_EQ(refs_of(m), 2u);
    EXPECT_EQ(type_of(m).count(), 1u);
    // What was not an answer is as it was.
    EXPECT_EQ(done.host_addr, va(5));
    EXPECT_EQ(done.ref, 8u);

    const u64 flushes = machine.domain_flushes;
    EXPECT_EQ(unmap(done.handle, va(5)), GNTST_okay);
    EXPECT_EQ(machine.domain_flushes, flushes + 1);
    EXPECT_EQ(table(l1)[5], Pte());
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access);
    EXPECT_TRUE(untouched(m));
    EXPECT_EQ(unmap(done.handle, va(5)), GNTST_bad_handle);
}

TEST_F(GrantMap, EntryFlags) {
    const Mfn m = page_of(guest);
    grant(guest, 8, m, GTF_readonly);
    const auto ro = map(8, va(5), GNTMAP_host_map | GNTMAP_readonly | 5u << _GNTMAP_guest_avail0);
    ASSERT_EQ(ro.status, GNTST_okay);
    EXPECT_FALSE(table(l1)[5].writable());
    EXPECT_EQ(table(l1)[5].v & Pte::kAvailable, u64{5} << 9);
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access | GTF_readonly | GTF_reading);
    EXPECT_EQ(type_of(m).count(), 0u);
    EXPECT_EQ(map(8, va(6)).status, GNTST_general_error) << "granted for reading only";
    EXPECT_EQ(table(l1)[6], Pte());
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access | GTF_readonly | GTF_reading);
    EXPECT_EQ(unmap(ro.handle, va(5)), GNTST_okay);
    EXPECT_TRUE(untouched(m));
}

TEST_F(GrantMap, ByTheEntrysAddress) {
    const Mfn m = page_of(guest);
    grant(guest, 8, m);
    const u32 flags = GNTMAP_host_map | GNTMAP_application_map | GNTMAP_contains_pte;
    const u64 where = pte_address(l1, 9);
    const auto done = map(8, where, flags);
    ASSERT_EQ(done.status, GNTST_okay);
    EXPECT_EQ(table(l1)[9].mfn(), m);
    EXPECT_TRUE(table(l1)[9].user());
    EXPECT_EQ(unmap(done.handle, va(9)), GNTST_bad_virt_addr) << "the place was named differently";
    EXPECT_EQ(table(l1)[9].mfn(), m);
    EXPECT_EQ(unmap(done.handle, where), GNTST_okay);
    EXPECT_TRUE(untouched(m));

    const Mfn theirs = page_of(guest);
    ASSERT_TRUE(pin_page(frame_of(theirs), PageType::l1, {.owner = guest.id}));
    const std::pair<u64, s16> cases[] = {
        {where + 4, GNTST_bad_virt_addr},
        {pte_address(l2, 3), GNTST_bad_virt_addr},
        {pte_address(page_of(domain), 3), GNTST_bad_virt_addr},
        {pte_address(theirs, 0), GNTST_bad_virt_addr},
        {pte_address(Mfn(kFrames + 5), 0), GNTST_bad_virt_addr},
        {~u64{7}, GNTST_bad_virt_addr},
    };
    for (const auto& [address, status] : cases) {
        EXPECT_EQ(map(8, address, flags).status, status) << std::hex << address;
        EXPECT_TRUE(untouched(m));
        EXPECT_EQ(pins(guest, 8), 0u);
    }
    ASSERT_TRUE(unpin_page(frame_of(theirs), Preempt::no));
}

TEST_F(GrantMap, Refusals) {
    const Mfn m = page_of(guest), their_table = page_of(guest);
    ASSERT_TRUE(pin_page(frame_of(their_table), PageType::l1, {.owner = guest.id}));
    grant(guest, 8, m);
    grant(guest, 9, m, 0, 5);
    grant(guest, 10, their_table);
    grant(guest, 11, page_of(domain));
    grant(guest, 12, Mfn(kFrames + 9));
    v1(guest, 13) = {.flags = GTF_accept_transfer, .domid = 0, .frame = 0};
    v1(guest, 14) = {.flags = GTF_transitive, .domid = 0, .frame = static_cast<u32>(m.v)};
    const struct {
        u32 ref;
        u64 host;
        u32 flags;
        u16 dom;
        s16 status;
    } cases[] = {
        {8, va(5), 0, kGuest, GNTST_bad_gntref},
        {8, va(5), GNTMAP_readonly, kGuest, GNTST_bad_gntref},
        {8, va(5), GNTMAP_host_map, 9, GNTST_bad_domain},
        {8, va(5), GNTMAP_host_map, DOMID_SELF, GNTST_bad_domain},
        {8, va(5), GNTMAP_host_map, 0xffff, GNTST_bad_domain},
        {7, va(5), GNTMAP_host_map, kGuest, GNTST_general_error},
        {9, va(5), GNTMAP_host_map, kGuest, GNTST_general_error},
        {10, va(5), GNTMAP_host_map, kGuest, GNTST_general_error},
        {10, va(5), GNTMAP_device_map, kGuest, GNTST_bad_page},
        {11, va(5), GNTMAP_host_map, kGuest, GNTST_general_error},
        {11, va(5), GNTMAP_device_map, kGuest, GNTST_bad_page},
        {12, va(5), GNTMAP_host_map, kGuest, GNTST_bad_page},
        {13, va(5), GNTMAP_host_map, kGuest, GNTST_general_error},
        {14, va(5), GNTMAP_host_map, kGuest, GNTST_general_error},
        {512, va(5), GNTMAP_host_map, kGuest, GNTST_bad_gntref},
        {~0u, va(5), GNTMAP_host_map, kGuest, GNTST_bad_gntref},
        {8, va(600), GNTMAP_host_map, kGuest, GNTST_bad_virt_addr},
        {8, 0xffff800000000000, GNTMAP_host_map, kGuest, GNTST_bad_virt_addr},
        {8, 0x8000000000000000, GNTMAP_host_map, kGuest, GNTST_bad_virt_addr},
        {8, va(600), GNTMAP_host_map | GNTMAP_device_map, kGuest, GNTST_bad_virt_addr},
    };
    for (const auto& c : cases) {
        const auto done = map(c.ref, c.host, c.flags, c.dom);
        EXPECT_EQ(done.status, c.status) << "ref " << c.ref << " flags " << c.flags;
        EXPECT_EQ(done.handle, 77u);
        EXPECT_TRUE(untouched(m));
        EXPECT_EQ(table(l1)[5], Pte());
        for (u32 ref = 7; ref < 15; ref++) {
            EXPECT_EQ(pins(guest, ref), 0u);
            EXPECT_EQ(v1(guest, ref).flags & (GTF_reading | GTF_writing), 0) << ref;
        }
    }
    EXPECT_EQ(guest.refs.load(), 4u) << "for its life, its pages, and its shared info and grant table";
    // Its table can be read, though not written.
    const auto ro = map(10, va(5), GNTMAP_host_map | GNTMAP_readonly);
    EXPECT_EQ(ro.status, GNTST_okay);
    EXPECT_EQ(unmap(ro.handle, va(5)), GNTST_okay);
    ASSERT_TRUE(unpin_page(frame_of(their_table), Preempt::no));
}

// The flags in the shared entry say who uses it, as long as anybody does.
TEST_F(GrantMap, FlagsFollowTheUses) {
    const Mfn m = page_of(guest);
    grant(guest, 8, m);
    const auto r1 = map(8, va(1), GNTMAP_host_map | GNTMAP_readonly);
    const auto w1 = map(8, va(2));
    const auto w2 = map(8, va(3));
    EXPECT_EQ(refs_of(m), 4u);
    EXPECT_EQ(unmap(w1.handle, va(2)), GNTST_okay);
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access | GTF_reading | GTF_writing);
    EXPECT_EQ(unmap(w2.handle, va(3)), GNTST_okay);
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access | GTF_reading);
    // The granter writes nonsense meanwhile: it confuses nobody but itself.
    v1(guest, 8) = {.flags = 0, .domid = 3, .frame = 1};
    EXPECT_EQ(unmap(r1.handle, va(1)), GNTST_okay);
    EXPECT_EQ(v1(guest, 8).flags, 0);
    EXPECT_TRUE(untouched(m));
}

TEST_F(GrantMap, DeviceMappings) {
    const Mfn m = page_of(guest);
    const u64 device = m.v << kPageShift;
    grant(guest, 8, m);
    const auto both = map(8, va(5), GNTMAP_host_map | GNTMAP_device_map);
    ASSERT_EQ(both.status, GNTST_okay);
    EXPECT_EQ(refs_of(m), 3u);
    EXPECT_EQ(type_of(m).count(), 2u);
    EXPECT_EQ(unmap(both.handle, va(5), device + kPageSize), GNTST_bad_dev_addr);
    EXPECT_EQ(unmap(both.handle, va(6), device), GNTST_bad_virt_addr);
    EXPECT_EQ(refs_of(m), 3u) << "a refusal changes nothing";
    EXPECT_EQ(unmap(both.handle, 0, 0), GNTST_okay);
    EXPECT_EQ(refs_of(m), 3u);
    EXPECT_EQ(unmap(both.handle, va(5)), GNTST_okay);
    EXPECT_EQ(refs_of(m), 2u);
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access | GTF_reading | GTF_writing);
    EXPECT_EQ(unmap(both.handle, va(5)), GNTST_okay) << "no host part is left to unmap";
    EXPECT_EQ(unmap(both.handle, 0, device), GNTST_okay);
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access);
    EXPECT_TRUE(untouched(m));

    const auto alone = map(8, ~u64{0}, GNTMAP_device_map | GNTMAP_readonly);
    ASSERT_EQ(alone.status, GNTST_okay);
    EXPECT_EQ(refs_of(m), 2u);
    EXPECT_EQ(type_of(m).count(), 0u);
    const u64 flushes = machine.domain_flushes;
    EXPECT_EQ(unmap(alone.handle, va(1), device), GNTST_okay);
    EXPECT_EQ(machine.domain_flushes, flushes) << "no CPU has ever seen it";
    EXPECT_TRUE(untouched(m));
}

// What a guest does to an entry by its page-table calls neither keeps the frame nor loses it.
TEST_F(GrantMap, TheGuestOverwritesTheEntry) {
    const Mfn m = page_of(guest), own = page_of(domain);
    grant(guest, 8, m);
    auto done = map(8, va(5));
    const Pte granted = table(l1)[5];
    EXPECT_FALSE(update(pte_address(l1, 6), granted)) << "a second entry for a frame of somebody else's";
    EXPECT_TRUE(update(pte_address(l1, 5), Pte(m, kRo))) << "giving up the right to write";
    EXPECT_EQ(type_of(m).count(), 0u);
    EXPECT_FALSE(update(pte_address(l1, 5), Pte(m, kRw))) << "there is no way back";
    EXPECT_TRUE(update(pte_address(l1, 5), Pte(own, kRw)));
    EXPECT_TRUE(untouched(m));
    EXPECT_FALSE(update(pte_address(l1, 5), granted));
    // The grant stays in use until its handle goes; what is at the place now stays.
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access | GTF_reading | GTF_writing);
    const u64 flushes = machine.domain_flushes;
    EXPECT_EQ(unmap(done.handle, va(5)), GNTST_okay);
    EXPECT_EQ(machine.domain_flushes, flushes + 1) << "the guest need not have flushed";
    EXPECT_EQ(table(l1)[5].mfn(), own);
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access);

    // The whole table goes, and comes back.
    done = map(8, va(5));
    ASSERT_EQ(done.status, GNTST_okay);
    EXPECT_TRUE(update(pte_address(l2, 0), Pte()));
    EXPECT_TRUE(untouched(m));
    EXPECT_EQ(table(l1)[5].mfn(), m) << "it is still written there";
    EXPECT_FALSE(update(pte_address(l2, 0), Pte(l1, kRw))) << "but holds nothing";
    EXPECT_EQ(unmap(done.handle, va(5)), GNTST_okay);
    table(l1)[5] = Pte();
    EXPECT_TRUE(update(pte_address(l2, 0), Pte(l1, kRw)));
    EXPECT_EQ(pins(guest, 8), 0u);
}

TEST_F(GrantMap, ReplacesWhatWasThere) {
    const Mfn m = page_of(guest), own = page_of(domain);
    grant(guest, 8, m);
    ASSERT_TRUE(update(pte_address(l1, 5), Pte(own, kRw)));
    EXPECT_EQ(type_of(own).count(), 1u);
    const auto first = map(8, va(5));
    EXPECT_TRUE(untouched(own));
    // The same place once more: one entry, two handles.
    const auto second = map(8, va(5));
    EXPECT_EQ(second.status, GNTST_okay);
    EXPECT_NE(second.handle, first.handle);
    EXPECT_EQ(refs_of(m), 2u);
    EXPECT_EQ(unmap(first.handle, va(5)), GNTST_okay);
    EXPECT_TRUE(untouched(m));
    EXPECT_EQ(unmap(second.handle, va(5)), GNTST_okay);
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access);
}

TEST_F(GrantMap, OwnGrantsToo) {
    const Mfn m = page_of(domain);
    grant(domain, 20, m);
    const auto done = map(20, va(5), GNTMAP_host_map, 0);
    ASSERT_EQ(done.status, GNTST_okay);
    EXPECT_EQ(refs_of(m), 2u);
    EXPECT_EQ(unmap(done.handle, va(5)), GNTST_okay);
    EXPECT_TRUE(untouched(m));
}

TEST_F(GrantMap, BatchesFlushOnceAndArePreempted) {
    constexpr u32 kCount = 80;
    const Mfn m = page_of(guest);
    grant(guest, 8, m);
    std::vector<gnttab_map_grant_ref_t> maps;
    for (u32 i = 0; i < kCount; i++) maps.push_back(map_request(8, va(i + 1)));
    maps[50].ref = 9;  // grants nothing
    put(0x1000, maps);
    machine.preempt = true;
    EXPECT_EQ(grant_op(GNTTABOP_map_grant_ref, kCount, 0x1000), 0);
    EXPECT_EQ(again_count, 2u);
    maps = get<gnttab_map_grant_ref_t>(0x1000, kCount);
    std::vector<gnttab_unmap_grant_ref_t> unmaps;
    for (u32 i = 0; i < kCount; i++) {
        EXPECT_EQ(maps[i].status, i == 50 ? GNTST_general_error : GNTST_okay) << i;
        if (i == 50) continue;
        gnttab_unmap_grant_ref_t u{};
        u.host_addr = va(i + 1), u.handle = maps[i].handle;
        unmaps.push_back(u);
    }
    EXPECT_EQ(refs_of(m), kCount);
    const u64 flushes = machine.domain_flushes;
    put(0x1000, unmaps);
    EXPECT_EQ(grant_op(GNTTABOP_unmap_grant_ref, kCount - 1, 0x1000), 0);
    EXPECT_EQ(machine.domain_flushes, flushes + 3) << "32, 32 and 15";
    for (const auto& u : get<gnttab_unmap_grant_ref_t>(0x1000, kCount - 1)) EXPECT_EQ(u.status, GNTST_okay);
    EXPECT_TRUE(untouched(m));
    EXPECT_EQ(pins(guest, 8), 0u);
}

TEST_F(GrantMap, GuestMemoryThatFaults) {
    const Mfn m = page_of(guest);
    grant(guest, 8, m);
    for (const u64 address : kBadAddresses) {
        for (const u32 command : {GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref, GNTTABOP_copy,
                                  GNTTABOP_unmap_and_replace, GNTTABOP_swap_grant_ref}) {
            EXPECT_EQ(run(__HYPERVISOR_grant_table_op, command, address, 1), -EFAULT);
            EXPECT_EQ(run(__HYPERVISOR_grant_table_op, command, address, 0), 0);
            EXPECT_EQ(run(__HYPERVISOR_grant_table_op, command, address, ~0u), -EINVAL);
        }
    }
    // The last element lies beyond the end of guest memory: those before it are done.
    const u64 end = machine.guest.size();
    put(end - sizeof(gnttab_map_grant_ref_t), map_request(8, va(5)));
    EXPECT_EQ(grant_op(GNTTABOP_map_grant_ref, 2, end - sizeof(gnttab_map_grant_ref_t)), -EFAULT);
    const auto first = get<gnttab_map_grant_ref_t>(end - sizeof(gnttab_map_grant_ref_t));
    EXPECT_EQ(first.status, GNTST_okay);
    EXPECT_EQ(unmap(first.handle, va(5)), GNTST_okay);
}

TEST_F(GrantMap, HandlesRunOut) {
    Domain& small = make_running(2, 1, {.max_maptrack_frames = 1});
    run_all();
    Vcpu& v = *small.vcpu(VcpuId(0));
    const Mfn m = page_of(guest);
    grant(guest, 8, m, 0, 2);
    std::vector<gnttab_map_grant_ref_t> maps(300, map_request(8, 0, GNTMAP_device_map));
    put(0, maps);
    EXPECT_EQ(run_as(v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, at(0), 300), 0);
    maps = get<gnttab_map_grant_ref_t>(0, 300);
    std::vector<bool> seen(256);
    for (u32 i = 0; i < 300; i++) {
        ASSERT_EQ(maps[i].status, i < 256 ? GNTST_okay : GNTST_no_space) << i;
        if (i >= 256) continue;
        ASSERT_LT(maps[i].handle, 256u);
        EXPECT_FALSE(seen[maps[i].handle]);
        seen[maps[i].handle] = true;
    }
    EXPECT_EQ(refs_of(m), 257u);
    // One comes back, one can be had.
    gnttab_unmap_grant_ref_t u{};
    u.dev_bus_addr = m.v << kPageShift, u.handle = maps[100].handle;
    put(0, u);
    EXPECT_EQ(run_as(v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, at(0), 1), 0);
    put(0, map_request(8, 0, GNTMAP_device_map));
    EXPECT_EQ(run_as(v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, at(0), 1), 0);
    EXPECT_EQ(get<gnttab_map_grant_ref_t>(0).status, GNTST_okay);
    EXPECT_EQ(get<gnttab_map_grant_ref_t>(0).handle, maps[100].handle);
    // The end of the mapper gives everything back, preemptibly.
    core::pause_domain(small);
    run_all();
    machine.preempt = true;
    destroy(small);
    machine.preempt = false;
    EXPECT_EQ(core::find_domain(DomId(2)), nullptr);
    EXPECT_TRUE(untouched(m));
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access);
    act_as(vcpu);
}

TEST_F(GrantMap, ADyingGranter) {
    const Mfn m = page_of(guest), other = page_of(guest);
    std::memset(port::frame_ptr(m), 0x5a, kPageSize);
    grant(guest, 8, m);
    grant(guest, 9, other);
    const auto host = map(8, va(5));
    const auto device = map(8, 0, GNTMAP_device_map);
    ASSERT_EQ(host.status, GNTST_okay);
    ASSERT_EQ(device.status, GNTST_okay);
    Domain& dying = guest;
    destroy(dying);
    ASSERT_EQ(core::find_domain(DomId(kGuest)), &dying);
    EXPECT_EQ(port::frame_ptr(m)[100], 0x5a) << "valid for those who have it";
    EXPECT_EQ(map(9, va(6)).status, GNTST_bad_domain);
    EXPECT_EQ(copy(copy_request(9, kGuest, page_of(domain).v, DOMID_SELF, GNTCOPY_source_gref)),
              GNTST_bad_domain);
    EXPECT_EQ(unmap(host.handle, va(5)), GNTST_okay);
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(kGuest)), &dying);
    EXPECT_EQ(unmap(device.handle, 0, m.v << kPageShift), GNTST_okay);
    quiesce();
    EXPECT_EQ(core::find_domain(DomId(kGuest)), nullptr) << "nobody has anything of it any more";
    act_as(vcpu);
}

TEST_F(GrantMap, UnmapAndReplace) {
    const Mfn m = page_of(guest), own = page_of(domain);
    grant(guest, 8, m);
    const auto replace = [&](u32 handle, u64 host, u64 new_addr) {
        gnttab_unmap_and_replace_t r{};
        r.host_addr = host, r.new_addr = new_addr, r.handle = handle, r.status = 99;
        put(0, r);
        EXPECT_EQ(grant_op(GNTTABOP_unmap_and_replace), 0);
        return get<gnttab_unmap_and_replace_t>(0).status;
    };
    ASSERT_TRUE(update(pte_address(l1, 7), Pte(own, kRw)));
    auto done = map(8, va(5));
    EXPECT_EQ(replace(done.handle, va(6), va(7)), GNTST_bad_virt_addr);
    EXPECT_EQ(replace(done.handle, va(5), va(600)), GNTST_bad_virt_addr);
    EXPECT_EQ(replace(done.handle, va(5), va(5)), GNTST_general_error);
    EXPECT_EQ(replace(done.handle + 1, va(5), va(7)), GNTST_bad_handle);
    EXPECT_EQ(table(l1)[5].mfn(), m);
    const u64 flushes = machine.domain_flushes;
    EXPECT_EQ(replace(done.handle, va(5), va(7)), GNTST_okay);
    EXPECT_EQ(machine.domain_flushes, flushes + 1);
    EXPECT_EQ(table(l1)[5].mfn(), own);
    EXPECT_TRUE(table(l1)[5].writable());
    EXPECT_EQ(table(l1)[7], Pte());
    EXPECT_EQ(refs_of(own), 2u);
    EXPECT_EQ(type_of(own).count(), 1u);
    EXPECT_TRUE(untouched(m));
    EXPECT_EQ(pins(guest, 8), 0u);

    // From another table; an empty entry moves as well; no new address is a plain unmap.
    const Mfn second = page_of(domain);
    ASSERT_TRUE(update(pte_address(l2, 1), Pte(second, kRw)));
    ASSERT_TRUE(update(pte_address(second, 0), Pte(own, kRo)));
    done = map(8, va(8));
    EXPECT_EQ(replace(done.handle, va(8), va(512)), GNTST_okay);
    EXPECT_EQ(table(l1)[8].mfn(), own);
    EXPECT_EQ(table(second)[0], Pte());
    done = map(8, va(512));
    EXPECT_EQ(replace(done.handle, va(512), va(8)), GNTST_okay);
    EXPECT_EQ(table(second)[0].mfn(), own);
    done = map(8, va(9));
    EXPECT_EQ(replace(done.handle, va(9), va(10)), GNTST_okay);
    EXPECT_EQ(table(l1)[9], Pte());
    done = map(8, va(9));
    EXPECT_EQ(replace(done.handle, va(9), 0), GNTST_okay);
    EXPECT_TRUE(untouched(m));
    // Not the kind, or no longer there.
    done = map(8, pte_address(l1, 9), GNTMAP_host_map | GNTMAP_contains_pte);
    EXPECT_EQ(replace(done.handle, pte_address(l1, 9), va(10)), GNTST_general_error);
    EXPECT_EQ(unmap(done.handle, pte_address(l1, 9)), GNTST_okay);
    done = map(8, va(9));
    ASSERT_TRUE(update(pte_address(l1, 9), Pte()));
    EXPECT_EQ(replace(done.handle, va(9), va(10)), GNTST_general_error);
    EXPECT_EQ(unmap(done.handle, va(9)), GNTST_okay);
    EXPECT_EQ(pins(guest, 8), 0u);
    for (const Mfn t : {l1, l2, second}) EXPECT_FALSE(type_of(t).has(TypeWord::kLocked));
}

}  // namespace
}  // namespace domus::hypercall
