// SPDX-License-Identifier: GPL-2.0-or-later
#include "hostile/grants.hpp"

#include "base/assert.hpp"
#include "hostile/arena.hpp"
#include "lib/console.hpp"

namespace hostile {

namespace {

constexpr u64 kTable = 0xffffa80000000000;  // its first page, for good
constexpr u32 kMostOfAList = 8;
bool have_table = false;

u32 some_ref(Random& r) { return static_cast<u32>(r.one_in(16) ? r.edge() : r.below(32)); }
u32 some_handle(Random& r) { return static_cast<u32>(r.one_in(16) ? r.edge() : r.below(64)); }
domid_t some_partner(Random& r) {
    return static_cast<domid_t>(r.one_in(4) ? some_domain(r) : (r.one_in(2) ? u64{DOMID_SELF} : 0));
}

// Where a mapping goes: an address of the arena, or an entry of one of its tables.
u64 some_host_address(Random& r, u32 flags) {
    if (r.one_in(16)) return r.edge();
    if ((flags & GNTMAP_contains_pte) != 0)
        return (r.one_in(8) ? expendable_frame(r).v : arena_table(static_cast<u32>(r.below(kArenaTables))).v)
                   << kPageShift |
               r.below(512) * 8;
    return some_arena_address(r) & ~u64{kPageSize - 1};
}

template <class T>
u64 address_of(T* p) {
    return reinterpret_cast<u64>(p);
}

}  // namespace

void make_grants() {
    xen_pfn_t frames[4] = {};
    gnttab_setup_table_t setup{};
    setup.dom = DOMID_SELF;
    setup.nr_frames = 1;
    setup.frame_list.p = frames;
    if (hypercall(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, address(setup), 1) != 0 ||
        setup.status != 0)
        return say("hostile: no grant table (status {})", setup.status);
    if (!make_tables(kTable) || update_va(kTable, Pte(Mfn(frames[0]), kRw)) != 0)
        panic("the grant table cannot be mapped");
    have_table = true;
}

void write_grants(Random& r) {
    if (!have_table) return;
    volatile u64* const words = reinterpret_cast<volatile u64*>(kTable);
    for (u64 n = 1 + r.below(8); n != 0; n--) {
        const u64 at = r.one_in(16) ? r.below(512) : r.below(64);
        const u64 flags =
            r.one_in(4) ? r.next() & 0xffff : GTF_permit_access | (r.one_in(4) ? GTF_readonly : 0u);
        // Version 1: flags, domain, frame. In version 2 this is half an entry, and the frame comes after it.
        switch (r.below(8)) {
            case 0: {
                // Whatever part of it is the frame: not one of the kernel's own.
                const u64 word = r.edge();
                if (!essential(Mfn(word)) && !essential(Mfn(word >> 32))) words[at] = word;
                break;
            }
            case 1: words[at] = expendable_frame(r).v; break;
            default: words[at] = flags | u64{some_partner(r)} << 16 | expendable_frame(r).v << 32; break;
        }
    }
}

Call grant_operation(Random& r, u64 place) {
    const u64 command = r.one_in(32) ? r.edge() : r.below(14);
    u64 count = 1 + r.below(kMostOfAList);
    const auto fill = [&]<class T>(T*, auto&& one) {
        T* const list = reinterpret_cast<T*>(place);
        for (u64 i = 0; i < kMostOfAList; i++) one(list[i]);
    };
    switch (command) {
        case GNTTABOP_map_grant_ref:
            fill(static_cast<gnttab_map_grant_ref_t*>(nullptr), [&](gnttab_map_grant_ref_t& m) {
                const u32 flags =
                    static_cast<u32>(r.one_in(8) ? r.edge() : r.below(64) & ~u64{GNTMAP_device_map});
                m = {};
                m.flags = flags;
                m.host_addr = some_host_address(r, flags);
                m.ref = some_ref(r);
                m.dom = some_partner(r);
            });
            break;
        case GNTTABOP_unmap_grant_ref:
            fill(static_cast<gnttab_unmap_grant_ref_t*>(nullptr), [&](gnttab_unmap_grant_ref_t& u) {
                u = {};
                u.host_addr = r.one_in(4) ? 0 : some_host_address(r, static_cast<u32>(r.below(64)));
                u.handle = some_handle(r);
            });
            break;
        case GNTTABOP_unmap_and_replace:
            fill(static_cast<gnttab_unmap_and_replace_t*>(nullptr), [&](gnttab_unmap_and_replace_t& u) {
                u = {};
                u.host_addr = some_host_address(r, 0);
                u.new_addr = r.one_in(4) ? 0 : some_host_address(r, 0);
                u.handle = some_handle(r);
            });
            break;
        case GNTTABOP_setup_table: {
            auto& s = *reinterpret_cast<gnttab_setup_table_t*>(place);
            s.dom = some_partner(r);
            s.nr_frames = static_cast<u32>(r.one_in(4) ? r.edge() : r.below(8));
            s.frame_list.p = reinterpret_cast<xen_pfn_t*>(r.one_in(2) ? some_address(r) : place + 256);
            count = r.one_in(4) ? r.below(4) : 1;
            break;
        }
        case GNTTABOP_get_status_frames: {
            auto& s = *reinterpret_cast<gnttab_get_status_frames_t*>(place);
            s.dom = some_partner(r);
            s.nr_frames = static_cast<u32>(r.one_in(4) ? r.edge() : r.below(4));
            s.frame_list.p = reinterpret_cast<u64*>(r.one_in(2) ? some_address(r) : place + 256);
            count = 1;
            break;
        }
        case GNTTABOP_transfer:
            fill(static_cast<gnttab_transfer_t*>(nullptr), [&](gnttab_transfer_t& t) {
                t = {};
                t.mfn = expendable_frame(r).v;
                t.domid = some_partner(r);
                t.ref = some_ref(r);
            });
            break;
        case GNTTABOP_copy:
            // Into our own frames only where they may go.
            fill(static_cast<gnttab_copy_t*>(nullptr), [&](gnttab_copy_t& c) {
                const bool by_ref = r.one_in(2);
                c = {};
                c.flags = static_cast<u16>((by_ref ? GNTCOPY_source_gref : 0) |
                                           (r.one_in(2) ? GNTCOPY_dest_gref : 0) |
                                           (r.one_in(16) ? r.next() & 0xfffc : 0));
                if (by_ref)
                    c.source.u.ref = some_ref(r);
                else
                    c.source.u.gmfn = r.one_in(2) ? some_frame(r).v : expendable_frame(r).v;
                if ((c.flags & GNTCOPY_dest_gref) != 0)
                    c.dest.u.ref = some_ref(r);
                else
                    c.dest.u.gmfn = expendable_frame(r).v;
                c.source.domid = some_partner(r);
                c.dest.domid = some_partner(r);
                c.source.offset = static_cast<u16>(r.one_in(8) ? r.edge() : r.below(4096));
                c.dest.offset = static_cast<u16>(r.one_in(8) ? r.edge() : r.below(4096));
                c.len = static_cast<u16>(r.one_in(4) ? r.edge() : r.below(2000));
            });
            break;
        case GNTTABOP_set_version: {
            auto& v = *reinterpret_cast<gnttab_set_version_t*>(place);
            v.version = static_cast<u32>(r.one_in(8) ? r.edge() : 1 + r.below(2));
            count = 1;
            break;
        }
        case GNTTABOP_query_size:
        case GNTTABOP_get_version: *reinterpret_cast<domid_t*>(place) = some_partner(r); break;
        case GNTTABOP_swap_grant_ref:
            fill(static_cast<gnttab_swap_grant_ref_t*>(nullptr), [&](gnttab_swap_grant_ref_t& s) {
                s = {};
                s.ref_a = some_ref(r);
                s.ref_b = some_ref(r);
            });
            break;
        case GNTTABOP_cache_flush:
            fill(static_cast<gnttab_cache_flush_t*>(nullptr), [&](gnttab_cache_flush_t& c) {
                c = {};
                if (r.one_in(2))
                    c.a.ref = some_ref(r);
                else
                    c.a.dev_bus_addr = expendable_frame(r).v << kPageShift;
                c.offset = static_cast<u16>(r.one_in(4) ? r.edge() : r.below(4096));
                c.length = static_cast<u16>(r.one_in(4) ? r.edge() : r.below(4096));
                c.op = static_cast<u32>(
                    r.one_in(4) ? r.edge() : r.below(4) | (r.one_in(2) ? GNTTAB_CACHE_SOURCE_GREF : 0u));
            });
            break;
        default: break;
    }
    u64 at = r.one_in(16) ? some_address(r) : place;
    // A list of any length only where nothing of ours can follow: each element gets its status written.
    if (r.one_in(64)) at = some_arena_address(r), count = r.edge() & 0xffff;
    return {.number = __HYPERVISOR_grant_table_op, .arguments = {command, at, count, 0, 0}};
}

}  // namespace hostile
