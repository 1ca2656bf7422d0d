// SPDX-License-Identifier: GPL-2.0-or-later
// A caller with page tables, and another domain that grants it pages.
#pragma once

#include "core/grant_pin.hpp"
#include "mm/page_type.hpp"
#include "pv/mmu.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {

class GrantTest : public HypercallTest {
  protected:
    static constexpr u64 kRw = Pte::kPresent | Pte::kWritable, kRo = Pte::kPresent;
    static constexpr u16 kGuest = 1;

    GrantTest() {
        domain.hardware = false;
        l4 = page_of(domain), l3 = page_of(domain), l2 = page_of(domain), l1 = page_of(domain);
        table(l4)[0] = Pte(l3, kRw);
        table(l3)[0] = Pte(l2, kRw);
        table(l2)[0] = Pte(l1, kRw);
        vcpu.pv.in_kernel = true;
        EXPECT_TRUE(pv::set_kernel_table(vcpu, l4, false));
        EXPECT_TRUE(core::grow_grant_table(guest, 1));
        EXPECT_TRUE(core::grow_grant_table(domain, 1));
    }
    // The fake machine does not drop a vCPU's context when its domain ends.
    void TearDown() override {
        EXPECT_TRUE(pv::drop_tables(vcpu));
        HypercallTest::TearDown();
    }

    static Mfn page_of(Domain& d) { return *core::allocate_pages(d, 0, {.scrub = true}); }
    static Pte* table(Mfn m) { return port::frame_ptr<Pte>(m); }
    static TypeWord type_of(Mfn m) { return TypeWord{frame_of(m).type.load()}; }
    static u64 refs_of(Mfn m) { return frame_of(m).refs.load() & kRefCount; }
    // Nobody but its owner has anything to do with it.
    static bool untouched(Mfn m) { return refs_of(m) == 1 && type_of(m).count() == 0; }
    static u64 va(unsigned index) { return index * kPageSize; }
    static u64 pte_address(Mfn m, unsigned index) { return (m.v << kPageShift) + index * 8; }

    static grant_entry_v1_t& v1(Domain& d, u32 ref) {
        return reinterpret_cast<grant_entry_v1_t&>(*core::entry_v1(d.grants, ref));
    }
    static grant_entry_v2_t& v2(Domain& d, u32 ref) {
        return reinterpret_cast<grant_entry_v2_t&>(*core::entry_v2(d.grants, ref));
    }
    static u16& status(Domain& d, u32 ref) { return *core::status_word(d.grants, ref); }
    static u32 pins(Domain& d, u32 ref) { return d.grants.pins_of(ref)->load(); }

    // d grants a page to domain `to`.
    static void grant(Domain& d, u32 ref, Mfn m, u16 flags = 0, u16 to = 0) {
        v1(d, ref) = {.flags = static_cast<u16>(GTF_permit_access | flags),
                      .domid = to,
                      .frame = static_cast<u32>(m.v)};
    }
    s64 grant_op(u32 command, u32 count = 1, u64 offset = 0) {
        return run(__HYPERVISOR_grant_table_op, command, at(offset), count);
    }

    static gnttab_map_grant_ref_t map_request(u32 ref, u64 host, u32 flags = GNTMAP_host_map,
                                              u16 dom = kGuest) {
        gnttab_map_grant_ref_t m{};
        m.host_addr = host, m.flags = flags, m.ref = ref, m.dom = dom;
        m.status = 99, m.handle = 77;
        return m;
    }
    gnttab_map_grant_ref_t map(u32 ref, u64 host, u32 flags = GNTMAP_host_map, u16 dom = kGuest) {
        put(0, map_request(ref, host, flags, dom));
        EXPECT_EQ(grant_op(GNTTABOP_map_grant_ref), 0);
        return get<gnttab_map_grant_ref_t>(0);
    }
    s16 unmap(u32 handle, u64 host, u64 device = 0) {
        gnttab_unmap_grant_ref_t u{};
        u.host_addr = host, u.dev_bus_addr = device, u.handle = handle, u.status = 99;
        put(0, u);
        EXPECT_EQ(grant_op(GNTTABOP_unmap_grant_ref), 0);
        return get<gnttab_unmap_grant_ref_t>(0).status;
    }
    static gnttab_copy_t copy_request(u64 from, u16 from_dom, u64 to, u16 to_dom, u16 flags, u16 length = 8,
                                      u16 from_offset = 0, u16 to_offset = 0) {
        gnttab_copy_t c{};
        c.source.u.gmfn = from, c.source.domid = from_dom, c.source.offset = from_offset;
        c.dest.u.gmfn = to, c.dest.domid = to_dom, c.dest.offset = to_offset;
        c.len = length, c.flags = flags, c.status = 99;
        return c;
    }
    s16 copy(const gnttab_copy_t& c) {
        put(0, c);
        EXPECT_EQ(grant_op(GNTTABOP_copy), 0);
        return get<gnttab_copy_t>(0).status;
    }
    Result<> update(u64 address, Pte value) {
        put(0x8000, mmu_update_t{.ptr = address, .val = value.v});
        return pv::mmu_update(vcpu, GuestIn<mmu_update_t>(at(0x8000)), 1, DOMID_SELF).status;
    }

    Domain& guest = make_domain(kGuest, 1);
    Mfn l4, l3, l2, l1;
};

}  // namespace domus::hypercall
