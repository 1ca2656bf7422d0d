// SPDX-License-Identifier: GPL-2.0-or-later
// Transfers, cache maintenance and the report of a grant table.
#include "boot/cmdline.hpp"
#include "grant_fixture.hpp"
#include "pv/m2p.hpp"

namespace domus::hypercall {
namespace {

class GrantTransfer : public GrantTest {
  protected:
    s16 transfer(Mfn m, u32 ref, u16 to = kGuest) {
        gnttab_transfer_t t{};
        t.mfn = m.v, t.domid = to, t.ref = ref, t.status = 99;
        put(0, t);
        EXPECT_EQ(grant_op(GNTTABOP_transfer), 0);
        return get<gnttab_transfer_t>(0).status;
    }
    void accept(u32 ref, u32 slot, u16 from = 0) {
        v1(guest, ref) = {.flags = GTF_accept_transfer, .domid = from, .frame = slot};
    }
};

TEST_F(GrantTransfer, AChangeOfOwner) {
    const Mfn m = page_of(domain);
    port::frame_ptr(m)[7] = 0x77;
    pv::set_m2p(m, 5);
    accept(20, 0x321);
    const u64 ours = domain.pages.total, theirs = guest.pages.total;
    const u64 flushes = machine.domain_flushes;
    EXPECT_EQ(transfer(m, 20), GNTST_okay);
    EXPECT_EQ(machine.domain_flushes, flushes + 1);
    EXPECT_EQ(v1(guest, 20).flags, GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    EXPECT_EQ(v1(guest, 20).frame, m.v);
    EXPECT_EQ(pv::m2p(m), 0x321u);
    EXPECT_EQ(frame_of(m).owner, guest.id);
    EXPECT_TRUE(untouched(m));
    EXPECT_EQ(port::frame_ptr(m)[7], 0x77) << "with what is in it";
    EXPECT_EQ(domain.pages.total, ours - 1);
    EXPECT_EQ(guest.pages.total, theirs + 1);
    EXPECT_EQ(transfer(page_of(domain), 20), GNTST_bad_gntref) << "an entry takes one page";
    EXPECT_EQ(domain.pages.total, ours - 1) << "refused, but no longer the giver's";
    EXPECT_EQ(transfer(m, 20), GNTST_bad_page);
    ASSERT_TRUE(core::set_grant_table_version(guest, 2));
    v2(guest, 21).full_page = {.hdr = {.flags = GTF_accept_transfer, .domid = 0}, .pad0 = 0, .frame = 0x444};
    const Mfn second = page_of(domain);
    EXPECT_EQ(transfer(second, 21), GNTST_okay);
    EXPECT_EQ(v2(guest, 21).full_page.frame, second.v);
    EXPECT_EQ(pv::m2p(second), 0x444u);
    EXPECT_EQ(transfer(page_of(domain), 300), GNTST_bad_gntref);
}

TEST_F(GrantTransfer, PagesThatStayWhereTheyAre) {
    accept(20, 1);
    const Mfn mapped = page_of(domain), granted = page_of(domain);
    ASSERT_TRUE(update(pte_address(l1, 3), Pte(mapped, kRo)));
    grant(domain, 9, granted);
    const auto done = map(9, va(4), GNTMAP_host_map, 0);
    const u64 pages = domain.pages.total;
    for (const Mfn m : {mapped, granted, l1, l4, page_of(guest), Mfn(kFrames + 1), kNoMfn, domain.shared_mfn,
                        domain.grants.shared[0]})
        EXPECT_EQ(transfer(m, 20), GNTST_bad_page);
    EXPECT_EQ(domain.pages.total, pages);
    EXPECT_EQ(v1(guest, 20).flags, GTF_accept_transfer);
    EXPECT_EQ(unmap(done.handle, va(4)), GNTST_okay);
    EXPECT_EQ(transfer(granted, 20), GNTST_okay);
}

TEST_F(GrantTransfer, PagesThatGoNowhere) {
    static_cast<void>(page_of(domain));  // so that the domain never becomes empty
    const u64 frames = heap_free_frames(), pages = domain.pages.total;
    accept(20, 1, 5);
    EXPECT_EQ(transfer(page_of(domain), 20), GNTST_bad_gntref);
    grant(guest, 21, page_of(guest));
    EXPECT_EQ(transfer(page_of(domain), 21), GNTST_bad_gntref);
    EXPECT_EQ(transfer(page_of(domain), 5000), GNTST_bad_gntref);
    EXPECT_EQ(transfer(page_of(domain), 20, 9), GNTST_bad_domain);
    accept(20, 1);
    guest.pages.max = guest.pages.total;
    EXPECT_EQ(transfer(page_of(domain), 20), GNTST_general_error);
    EXPECT_EQ(v1(guest, 20).flags, GTF_accept_transfer);
    core::grant_limits().transfer = false;
    const Mfn m = page_of(domain);
    EXPECT_EQ(transfer(m, 20), GNTST_permission_denied);
    core::grant_limits().transfer = true;
    ASSERT_TRUE(core::release_page(domain, m));
    EXPECT_EQ(domain.pages.total, pages);
    EXPECT_EQ(heap_free_frames(), frames - 1) << "all but the guest's page are in the heap again";
}

class GrantCache : public GrantTest {
  protected:
    s64 flush(Mfn m, u16 offset, u16 length, u32 op) {
        gnttab_cache_flush_t f{};
        f.a.dev_bus_addr = m.v << kPageShift, f.offset = offset, f.length = length, f.op = op;
        put(0, f);
        return grant_op(GNTTABOP_cache_flush);
    }
};

TEST_F(GrantCache, OwnPagesAndMappedOnes) {
    const Mfn own = page_of(domain), theirs = page_of(guest);
    constexpr u32 kBoth = GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL;
    EXPECT_EQ(flush(own, 100, 200, GNTTAB_CACHE_CLEAN), 0);
    EXPECT_EQ(machine.cache_lines_flushed, 200u);
    EXPECT_EQ(flush(own, 0, 4096, kBoth), 0);
    EXPECT_EQ(machine.cache_lines_flushed, 4296u);
    EXPECT_EQ(flush(own, 0, 0, kBoth), 0);
    EXPECT_EQ(flush(own, 0, 8, 0), 0);
    EXPECT_EQ(flush(own, 4096, 0, kBoth), -EINVAL);
    EXPECT_EQ(flush(own, 4095, 2, kBoth), -EINVAL);
    EXPECT_EQ(flush(own, 0, 8, 4), -EINVAL);
    EXPECT_EQ(flush(own, 0, 8, GNTTAB_CACHE_INVAL), -EOPNOTSUPP);
    EXPECT_EQ(flush(own, 0, 8, kBoth | GNTTAB_CACHE_SOURCE_GREF), -EOPNOTSUPP);
    EXPECT_EQ(flush(Mfn(kFrames + 1), 0, 8, kBoth), -EINVAL);
    EXPECT_EQ(flush(theirs, 0, 8, kBoth), -EPERM);
    EXPECT_EQ(machine.cache_lines_flushed, 4296u);
    grant(guest, 8, theirs);
    grant(guest, 9, page_of(guest));
    // Far behind other mappings, found with interruptions.
    std::vector<gnttab_map_grant_ref_t> maps(3000, map_request(9, 0, GNTMAP_device_map));
    maps.back().ref = 8;
    put(0x1000, maps);
    EXPECT_EQ(grant_op(GNTTABOP_map_grant_ref, 3000, 0x1000), 0);
    machine.preempt = true;
    EXPECT_EQ(flush(theirs, 0, 8, kBoth), 0);
    EXPECT_EQ(again_count, 2u);
    machine.preempt = false;
    EXPECT_EQ(machine.cache_lines_flushed, 4304u);
    EXPECT_EQ(refs_of(theirs), 2u);
}

TEST_F(GrantCache, TheReportIsForTheToolstack) {
    const auto dump = [&](u16 dom) {
        put(0, gnttab_dump_table_t{.dom = dom, .status = 99});
        EXPECT_EQ(grant_op(GNTTABOP_dump_table), 0);
        return get<gnttab_dump_table_t>(0).status;
    };
    grant(guest, 8, page_of(guest));
    const auto done = map(8, va(5));
    log_lines.clear();
    EXPECT_EQ(dump(kGuest), GNTST_okay);
    ASSERT_GE(log_lines.size(), 3u);
    EXPECT_NE(log_lines[1].find("0x8: 0 uses for reading, 1 for writing"), std::string::npos) << log_lines[1];
    EXPECT_EQ(dump(99), GNTST_bad_domain);
    domain.privileged = false;
    EXPECT_EQ(dump(0), GNTST_permission_denied);
    domain.privileged = true;
    EXPECT_EQ(unmap(done.handle, va(5)), GNTST_okay);
}

TEST(GrantOptions, OnTheCommandLine) {
    BootOptions o;
    EXPECT_EQ(parse_command_line("gnttab=max-ver:1,no-transitive gnttab_max_frames=128 "
                                 "gnttab_max_maptrack_frames=2048",
                                 o)
                  .malformed,
              0u);
    EXPECT_EQ(o.grants.max_version, 1u);
    EXPECT_FALSE(o.grants.transitive);
    EXPECT_TRUE(o.grants.transfer);
    EXPECT_EQ(o.grants.max_frames, 128u);
    EXPECT_EQ(o.grants.max_maptrack_frames, 2048u);
    EXPECT_EQ(parse_command_line("gnttab=transitive,transfer=off", o).malformed, 0u);
    EXPECT_TRUE(o.grants.transitive);
    EXPECT_FALSE(o.grants.transfer);
    for (const char* bad : {"gnttab=max-ver:0", "gnttab=max-ver:3", "gnttab=transitive=maybe", "gnttab=x",
                            "gnttab=no-transfer=on", "gnttab_max_frames=0", "gnttab_max_frames=4097",
                            "gnttab_max_maptrack_frames=-1"}) {
        EXPECT_EQ(parse_command_line(bad, o).malformed, 1u) << bad;
    }
}

}  // namespace
}  // namespace domus::hypercall
