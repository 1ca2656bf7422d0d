// SPDX-License-Identifier: GPL-2.0-or-later
// Copies by grant and by frame, with the partial and transitive grants of version 2; swapped entries.
#include "grant_fixture.hpp"

namespace domus::hypercall {
namespace {

class GrantCopy : public GrantTest {
  protected:
    GrantCopy() {
        for (u32 i = 0; i < kPageSize; i++) {
            port::frame_ptr(theirs)[i] = static_cast<u8>(i * 7);
            port::frame_ptr(ours)[i] = static_cast<u8>(i * 11);
        }
    }
    bool all_idle() {
        return untouched(ours) && untouched(theirs) && pins(guest, 8) == 0 && pins(domain, 8) == 0;
    }
    Mfn ours = page_of(domain), theirs = page_of(guest);
};

TEST_F(GrantCopy, AllFourWays) {
    grant(guest, 8, theirs);
    grant(domain, 8, ours, 0, 0);
    u8* const mine = port::frame_ptr(ours);
    u8* const its = port::frame_ptr(theirs);
    EXPECT_EQ(copy(copy_request(8, kGuest, ours.v, DOMID_SELF, GNTCOPY_source_gref, 100, 10, 20)),
              GNTST_okay);
    EXPECT_EQ(std::memcmp(mine + 20, its + 10, 100), 0);
    EXPECT_EQ(mine[19], static_cast<u8>(19 * 11));
    EXPECT_EQ(mine[120], static_cast<u8>(120 * 11));
    EXPECT_EQ(copy(copy_request(ours.v, DOMID_SELF, 8, kGuest, GNTCOPY_dest_gref, 4096)), GNTST_okay);
    EXPECT_EQ(std::memcmp(mine, its, kPageSize), 0);
    its[4095] = 0xee;
    EXPECT_EQ(
        copy(copy_request(8, kGuest, 8, DOMID_SELF, GNTCOPY_source_gref | GNTCOPY_dest_gref, 1, 4095, 4095)),
        GNTST_okay);
    EXPECT_EQ(mine[4095], 0xee);
    const Mfn second = page_of(domain);
    EXPECT_EQ(copy(copy_request(ours.v, DOMID_SELF, second.v, DOMID_SELF, 0, 4096)), GNTST_okay);
    EXPECT_EQ(std::memcmp(mine, port::frame_ptr(second), kPageSize), 0);
    // Within a page, overlapping.
    for (u32 i = 0; i < 64; i++) mine[i] = static_cast<u8>(i);
    EXPECT_EQ(copy(copy_request(ours.v, DOMID_SELF, ours.v, DOMID_SELF, 0, 32, 0, 8)), GNTST_okay);
    for (u32 i = 0; i < 32; i++) EXPECT_EQ(mine[8 + i], i);
    EXPECT_EQ(copy(copy_request(8, kGuest, ours.v, DOMID_SELF, GNTCOPY_source_gref, 0, 4096, 4096)),
              GNTST_okay);
    EXPECT_TRUE(all_idle());
    EXPECT_EQ(v1(guest, 8).flags, GTF_permit_access);
}

TEST_F(GrantCopy, Refusals) {
    grant(guest, 8, theirs, GTF_readonly);
    grant(guest, 9, theirs, 0, 4);
    grant(guest, 10, page_of(domain));
    grant(guest, 11, Mfn(kFrames + 1));
    grant(guest, 12, theirs);
    constexpr u16 kFrom = GNTCOPY_source_gref, kTo = GNTCOPY_dest_gref;
    const struct {
        gnttab_copy_t op;
        s16 status;
    } cases[] = {
        {copy_request(8, kGuest, ours.v, DOMID_SELF, kFrom, 8, 4089), GNTST_bad_copy_arg},
        {copy_request(8, kGuest, ours.v, DOMID_SELF, kFrom, 8, 0, 4089), GNTST_bad_copy_arg},
        {copy_request(8, kGuest, ours.v, DOMID_SELF, kFrom, 0xffff, 0xffff, 0), GNTST_bad_copy_arg},
        {copy_request(8, 7, ours.v, DOMID_SELF, kFrom), GNTST_bad_domain},
        {copy_request(8, DOMID_IO, ours.v, DOMID_SELF, kFrom), GNTST_bad_domain},
        {copy_request(theirs.v, kGuest, ours.v, DOMID_SELF, 0), GNTST_permission_denied},
        {copy_request(ours.v, DOMID_SELF, theirs.v, kGuest, 0), GNTST_permission_denied},
        {copy_request(theirs.v, DOMID_SELF, ours.v, DOMID_SELF, 0), GNTST_bad_page},
        {copy_request(ours.v, DOMID_SELF, theirs.v, DOMID_SELF, 0), GNTST_bad_page},
        {copy_request(ours.v, DOMID_SELF, l1.v, DOMID_SELF, 0), GNTST_bad_page},
        {copy_request(ours.v, DOMID_SELF, kFrames + 1, DOMID_SELF, 0), GNTST_bad_page},
        {copy_request(ours.v, DOMID_SELF, 8, kGuest, kTo), GNTST_general_error},
        {copy_request(9, kGuest, ours.v, DOMID_SELF, kFrom), GNTST_general_error},
        {copy_request(10, kGuest, ours.v, DOMID_SELF, kFrom), GNTST_bad_page},
        {copy_request(11, kGuest, ours.v, DOMID_SELF, kFrom), GNTST_bad_page},
        {copy_request(600, kGuest, ours.v, DOMID_SELF, kFrom), GNTST_bad_gntref},
        {copy_request(12, kGuest, 13, kGuest, kFrom | kTo), GNTST_general_error},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(copy(c.op), c.status) << "case " << &c - cases;
        EXPECT_TRUE(all_idle());
        for (u32 ref = 8; ref < 14; ref++) {
            EXPECT_EQ(pins(guest, ref), 0u);
            EXPECT_EQ(v1(guest, ref).flags & (GTF_reading | GTF_writing), 0);
        }
    }
    // A table of ours can be read.
    EXPECT_EQ(copy(copy_request(l1.v, DOMID_SELF, ours.v, DOMID_SELF, 0)), GNTST_okay);
}

TEST_F(GrantCopy, BatchesGoOnAfterARefusalAndArePreempted) {
    grant(guest, 8, theirs);
    std::vector<gnttab_copy_t> list(70, copy_request(8, kGuest, ours.v, DOMID_SELF, GNTCOPY_source_gref));
    list[3].len = 5000;
    put(0, list);
    machine.preempt = true;
    EXPECT_EQ(grant_op(GNTTABOP_copy, 70), 0);
    EXPECT_EQ(again_count, 2u);
    list = get<gnttab_copy_t>(0, 70);
    for (u32 i = 0; i < 70; i++) EXPECT_EQ(list[i].status, i == 3 ? GNTST_bad_copy_arg : GNTST_okay);
}

class GrantVersion2 : public GrantCopy {
  protected:
    GrantVersion2() { EXPECT_TRUE(core::set_grant_table_version(guest, 2)); }
    static grant_entry_v2_t full(Mfn m, u16 to = 0, u16 flags = 0) {
        grant_entry_v2_t e{};
        e.full_page.hdr = {.flags = static_cast<u16>(GTF_permit_access | flags), .domid = to};
        e.full_page.frame = m.v;
        return e;
    }
};

TEST_F(GrantVersion2, StatusIsApart) {
    v2(guest, 200) = full(theirs);
    const auto done = map(200, va(5));
    ASSERT_EQ(done.status, GNTST_okay);
    EXPECT_EQ(v2(guest, 200).hdr.flags, GTF_permit_access);
    EXPECT_EQ(status(guest, 200), GTF_reading | GTF_writing);
    EXPECT_EQ(unmap(done.handle, va(5)), GNTST_okay);
    EXPECT_EQ(status(guest, 200), 0);
    EXPECT_EQ(map(256, va(5)).status, GNTST_bad_gntref) << "half as many entries in a frame";
    EXPECT_EQ(pins(guest, 256), 0u);
    v2(guest, 200).hdr.flags = GTF_permit_access | GTF_readonly;
    EXPECT_EQ(map(200, va(5)).status, GNTST_general_error);
    EXPECT_EQ(status(guest, 200), 0);
}

TEST_F(GrantVersion2, PartsOfPages) {
    auto& e = v2(guest, 8);
    e.sub_page = {.hdr = {.flags = GTF_permit_access | GTF_sub_page, .domid = 0},
                  .page_off = 100,
                  .length = 50,
                  .frame = theirs.v};
    EXPECT_EQ(map(8, va(5)).status, GNTST_general_error);
    EXPECT_EQ(status(guest, 8), 0);
    const auto from = [&](u16 offset, u16 length) {
        return copy(copy_request(8, kGuest, ours.v, DOMID_SELF, GNTCOPY_source_gref, length, offset));
    };
    EXPECT_EQ(from(100, 50), GNTST_okay);
    EXPECT_EQ(from(149, 1), GNTST_okay);
    EXPECT_EQ(from(99, 2), GNTST_general_error);
    EXPECT_EQ(from(100, 51), GNTST_general_error);
    EXPECT_EQ(from(150, 1), GNTST_general_error);
    EXPECT_EQ(copy(copy_request(ours.v, DOMID_SELF, 8, kGuest, GNTCOPY_dest_gref, 50, 0, 100)), GNTST_okay);
    EXPECT_EQ(copy(copy_request(ours.v, DOMID_SELF, 8, kGuest, GNTCOPY_dest_gref, 50, 0, 101)),
              GNTST_general_error);
    e.sub_page.length = 0xffff;  // more than a page: the page's end still counts
    EXPECT_EQ(from(4095, 1), GNTST_okay);
    EXPECT_EQ(from(4095, 2), GNTST_bad_copy_arg);
    EXPECT_EQ(status(guest, 8), 0);
    EXPECT_TRUE(all_idle());
}

TEST_F(GrantVersion2, Transitive) {
    Domain& third = make_domain(2, 1);
    ASSERT_TRUE(core::grow_grant_table(third, 1));
    const Mfn far = page_of(third);
    std::memset(port::frame_ptr(far), 0xcd, kPageSize);
    grant(third, 30, far, 0, kGuest);  // to the guest, which lends it to us
    auto& e = v2(guest, 8);
    e.transitive = {.hdr = {.flags = GTF_transitive, .domid = 0}, .trans_domid = 2, .pad0 = 0, .gref = 30};
    const auto take = copy_request(8, kGuest, ours.v, DOMID_SELF, GNTCOPY_source_gref, 16);
    const auto give = copy_request(ours.v, DOMID_SELF, 8, kGuest, GNTCOPY_dest_gref, 16);
    EXPECT_EQ(map(8, va(5)).status, GNTST_general_error);
    EXPECT_EQ(copy(take), GNTST_okay);
    EXPECT_EQ(port::frame_ptr(ours)[15], 0xcd);
    port::frame_ptr(ours)[0] = 0x11;
    EXPECT_EQ(copy(give), GNTST_okay);
    EXPECT_EQ(port::frame_ptr(far)[0], 0x11);
    const auto idle = [&] {
        return untouched(far) && pins(guest, 8) == 0 && pins(third, 30) == 0 && status(guest, 8) == 0 &&
               (v1(third, 30).flags & (GTF_reading | GTF_writing)) == 0;
    };
    EXPECT_TRUE(idle());
    e.transitive.hdr.flags = GTF_transitive | GTF_readonly;
    EXPECT_EQ(copy(give), GNTST_general_error);
    EXPECT_EQ(copy(take), GNTST_okay);
    grant(third, 30, far, GTF_readonly, kGuest);
    e.transitive.hdr.flags = GTF_transitive;
    EXPECT_EQ(copy(give), GNTST_general_error);
    EXPECT_TRUE(idle());
    // Granted to us, it is nothing that the guest could lend.
    grant(third, 30, far, 0, 0);
    EXPECT_EQ(copy(take), GNTST_general_error);
    // No domain, no entry, itself, a second step.
    e.transitive.trans_domid = 9;
    EXPECT_EQ(copy(take), GNTST_bad_domain);
    e.transitive.trans_domid = 2, e.transitive.gref = 5000;
    EXPECT_EQ(copy(take), GNTST_bad_gntref);
    e.transitive.trans_domid = kGuest, e.transitive.gref = 8;
    EXPECT_EQ(copy(take), GNTST_general_error);
    ASSERT_TRUE(core::set_grant_table_version(third, 2));
    v2(third, 30).transitive = {
        .hdr = {.flags = GTF_transitive, .domid = kGuest}, .trans_domid = kGuest, .pad0 = 0, .gref = 8};
    e.transitive.trans_domid = 2, e.transitive.gref = 30;
    EXPECT_EQ(copy(take), GNTST_general_error);
    // Back to where it came from is fine: we are the third domain.
    grant(domain, 40, ours, 0, kGuest);
    e.transitive.trans_domid = 0, e.transitive.gref = 40;
    EXPECT_EQ(copy(take), GNTST_okay);
    // The administrator may forbid it altogether.
    core::grant_limits().transitive = false;
    EXPECT_EQ(copy(take), GNTST_general_error);
    core::grant_limits().transitive = true;
    EXPECT_EQ(pins(guest, 8), 0u);
    EXPECT_EQ(pins(domain, 40), 0u);
    EXPECT_TRUE(untouched(ours));
}

TEST_F(GrantVersion2, SwitchingNeedsAnIdleTable) {
    v2(guest, 8) = full(theirs);
    const auto done = map(8, va(5));
    EXPECT_EQ(core::set_grant_table_version(guest, 1).error(), Error::busy);
    EXPECT_EQ(core::grant_table_version(guest), 2u);
    EXPECT_EQ(unmap(done.handle, va(5)), GNTST_okay);
    EXPECT_TRUE(core::set_grant_table_version(guest, 1));
}

class GrantSwap : public GrantTest {
  protected:
    s16 swap(u32 a, u32 b) {
        put(0, gnttab_swap_grant_ref_t{.ref_a = a, .ref_b = b, .status = 99});
        EXPECT_EQ(grant_op(GNTTABOP_swap_grant_ref), 0);
        return get<gnttab_swap_grant_ref_t>(0).status;
    }
};

TEST_F(GrantSwap, SwapsIdleEntries) {
    v1(domain, 10) = {.flags = 1, .domid = 2, .frame = 3};
    v1(domain, 11) = {.flags = 4, .domid = 5, .frame = 6};
    EXPECT_EQ(swap(10, 11), GNTST_okay);
    EXPECT_EQ(v1(domain, 10).frame, 6u);
    EXPECT_EQ(v1(domain, 11).domid, 2);
    EXPECT_EQ(swap(11, 10), GNTST_okay);
    EXPECT_EQ(v1(domain, 10).frame, 3u);
    EXPECT_EQ(swap(10, 10), GNTST_okay);
    EXPECT_EQ(swap(10, 512), GNTST_bad_gntref);
    EXPECT_EQ(swap(~0u, 10), GNTST_bad_gntref);
    const Mfn m = page_of(domain);
    grant(domain, 10, m);
    const auto done = map(10, va(5), GNTMAP_host_map, 0);
    EXPECT_EQ(swap(10, 11), GNTST_eagain);
    EXPECT_EQ(swap(11, 10), GNTST_eagain);
    EXPECT_EQ(unmap(done.handle, va(5)), GNTST_okay);
    EXPECT_EQ(swap(11, 10), GNTST_okay);
    EXPECT_EQ(v1(domain, 11).frame, m.v);
    ASSERT_TRUE(core::set_grant_table_version(domain, 2));
    v2(domain, 20).full_page.frame = 77;
    v2(domain, 21).full_page.hdr.domid = 5;
    EXPECT_EQ(swap(20, 21), GNTST_okay);
    EXPECT_EQ(v2(domain, 21).full_page.frame, 77u);
    EXPECT_EQ(v2(domain, 20).full_page.hdr.domid, 5);
    EXPECT_EQ(swap(20, 256), GNTST_bad_gntref);
}

}  // namespace
}  // namespace domus::hypercall
