// SPDX-License-Identifier: GPL-2.0-or-later
// memory_op (12): a domain's memory: reservations, limits and the machine's map.
#include "hypercall/memory_op.hpp"

#include <algorithm>

#include "arch_state/layout.hpp"
#include "base/log.hpp"
#include "core/pages.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/platform.hpp"
#include "hypercall/target.hpp"
#include "mm/frame_refs.hpp"
#include "port/cpu.hpp"
#include "pv/m2p.hpp"

namespace domus::hypercall {

namespace {

// ---- reservations -------------------------------------------------------------------------------

struct Reservation {
    Domain& d;
    GuestInOut<xen_pfn_t> list;
    unsigned order;
    AllocLimits limits;
};

// One extent more, at this index of the guest's list.
using Step = Result<> (*)(const Reservation& r, u64 index);

// Writes where a new extent is; one that the guest cannot be told of is given back.
Result<> tell(const Reservation& r, u64 index, Mfn first) {
    const Result<> told = r.list.write(first.v, index);
    if (told) return {};
    for (u64 i = 0; i < u64{1} << r.order; i++) {
        pv::set_m2p(first + i, pv::kInvalidM2p);
        static_cast<void>(core::release_page(r.d, first + i));
    }
    return told;
}

Result<> increase(const Reservation& r, u64 index) {
    const Mfn first = TRY(core::allocate_pages(r.d, r.order, r.limits));
    for (u64 i = 0; i < u64{1} << r.order; i++) pv::set_m2p(first + i, pv::kInvalidM2p);
    // Without a list the domain does not want to know which they are.
    if (r.list.null()) return {};
    return tell(r, index, first);
}

Result<> populate(const Reservation& r, u64 index) {
    const xen_pfn_t gfn = TRY(r.list.read(index));
    const Mfn first = TRY(core::allocate_pages(r.d, r.order, r.limits));
    for (u64 i = 0; i < u64{1} << r.order; i++) pv::set_m2p(first + i, gfn + i);
    return tell(r, index, first);
}

Result<> decrease(const Reservation& r, u64 index) {
    const xen_pfn_t first = TRY(r.list.read(index));
    for (u64 i = 0; i < u64{1} << r.order; i++) {
        const Mfn m(first + i);
        {
            // Still the domain's while its entry is taken out: the next owner's must not be touched.
            const PageRef page = TRY(get_page(m, r.d.id));
            pv::set_m2p(m, pv::kInvalidM2p);
        }
        TRY(core::release_page(r.d, m));
    }
    return {};
}

// Returns the number of extents that were done, whatever stopped it: that is how callers learn of failures.
MemoryCall reservation(Caller& caller, u32 command, u64 start, GuestAddr arg, Step step) {
    const xen_memory_reservation_t r = TRY(arg.in<xen_memory_reservation_t>().read());
    if (r.nr_extents > kMaxExtents || start > r.nr_extents) return static_cast<s64>(start);
    if (r.extent_order > max_extent_order(caller.domain)) return fail(Error::perm);
    Domain* d = TRY(target_domain(caller, r.domid));

    const Reservation work{.d = *d,
                           .list = GuestInOut<xen_pfn_t>(reinterpret_cast<u64>(r.extent_start.p)),
                           .order = r.extent_order,
                           .limits = limits_of(r.mem_flags)};
    for (u64 i = start; i < r.nr_extents; i++) {
        if (i != start && port::preempt_wanted()) {
            return again(GuestLong(command | i << kExtentShift), arg);
        }
        const Result<> done = step(work, i);
        if (!done) {
            if (done.error() != Error::nomem) {
                guest_log(Level::debug, "d{}: memory_op {} for d{} stops at extent {} of {} ({})",
                          caller.domain.id, command, d->id, i, u64{r.nr_extents}, done.error());
            }
            return static_cast<s64>(i);
        }
    }
    return static_cast<s64>(r.nr_extents);
}

// ---- what there is ------------------------------------------------------------------------------

struct OneDomain {
    domid_t domid;
};
static_assert(sizeof(OneDomain) == sizeof(xen_memory_domain));

Result<s64> current_reservation(Caller& caller, const OneDomain& arg) {
    Domain* d = TRY(target_domain(caller, arg.domid));
    return static_cast<s64>(__atomic_load_n(&d->pages.total, __ATOMIC_RELAXED));
}

Result<s64> maximum_reservation(Caller& caller, const OneDomain& arg) {
    Domain* d = TRY(target_domain(caller, arg.domid));
    // "No limit" is the largest 32-bit number, as guests have always seen it.
    constexpr u64 kNoLimit = ~u32{0};
    return static_cast<s64>(std::min(__atomic_load_n(&d->pages.max, __ATOMIC_RELAXED), kNoLimit));
}

// What the guest says of its own size, less one.
Result<s64> maximum_gpfn(Caller& caller, const OneDomain& arg) {
    Domain* d = TRY(target_domain(caller, arg.domid));
    return static_cast<s64>(__atomic_load_n(&d->shared->arch.max_pfn, __ATOMIC_RELAXED)) - 1;
}

constexpr u32 kE820Ram = 1;

// The first frame behind all RAM.
Result<s64> maximum_ram_page(Caller&) {
    u64 end = 0;
    for (const auto& range : platform().machine_map) {
        if (range.type == kE820Ram) end = std::max(end, range.start + range.size);
    }
    return static_cast<s64>(end >> kPageShift);
}

Result<> machphys_mapping(Caller&, Out<xen_machphys_mapping_t>& out) {
    out.v.v_start = layout::kGuestM2p;
    out.v.v_end = layout::kGuestM2pEnd;
    out.v.max_mfn = (layout::kGuestM2pEnd - layout::kGuestM2p) / sizeof(u64) - 1;
    return {};
}

Result<> machine_memory_map(Caller&, xen_memory_map_t& arg) {
    // The BIOS's format: 20 bytes an entry.
    struct [[gnu::packed]] Entry {
        u64 start, size;
        u32 type;
    };
    static_assert(sizeof(Entry) == 20);
    const auto map = platform().machine_map;
    const GuestOut<Entry> buffer(reinterpret_cast<u64>(arg.buffer.p));
    u32 n = 0;
    for (; n < arg.nr_entries && n < map.size(); n++) {
        TRY(buffer.write({map[n].start, map[n].size, map[n].type}, n));
    }
    arg.nr_entries = n;
    return {};
}

// ---- for guests whose physical memory the hypervisor translates ---------------------------------

// A PV guest's memory is where the guest says: there is no map to put something into. Only the answer matters
// here, to those who probe.
Result<> add_to_physmap(Caller& caller, const xen_add_to_physmap_t& arg) {
    TRY(target_domain(caller, arg.domid));
    return fail(Error::access);
}
Result<> add_to_physmap_batch(Caller& caller, const xen_add_to_physmap_batch_t& arg) {
    TRY(target_domain(caller, arg.domid));
    return fail(Error::access);
}
Result<> remove_from_physmap(Caller& caller, const xen_remove_from_physmap_t& arg) {
    TRY(target_domain(caller, arg.domid));
    return fail(Error::access);
}

// Pages are never shared between domains.
Result<s64> no_sharing(Caller&) { return 0; }

constexpr Command<> kList[] = {
    command<&maximum_ram_page>(XENMEM_maximum_ram_page, "maximum_ram_page"),
    command<&current_reservation>(XENMEM_current_reservation, "current_reservation"),
    command<&maximum_reservation>(XENMEM_maximum_reservation, "maximum_reservation"),
    command<&add_to_physmap>(XENMEM_add_to_physmap, "add_to_physmap"),
    command<&machine_memory_map>(XENMEM_machine_memory_map, "machine_memory_map", Who::control_or_hardware),
    command<&machphys_mapping>(XENMEM_machphys_mapping, "machphys_mapping"),
    command<&maximum_gpfn>(XENMEM_maximum_gpfn, "maximum_gpfn"),
    command<&remove_from_physmap>(XENMEM_remove_from_physmap, "remove_from_physmap"),
    command<&no_sharing>(XENMEM_get_sharing_freed_pages, "get_sharing_freed_pages"),
    command<&no_sharing>(XENMEM_get_sharing_shared_pages, "get_sharing_shared_pages"),
    command<&add_to_physmap_batch>(XENMEM_add_to_physmap_batch, "add_to_physmap_batch"),
};
constexpr Commands kCommands("memory_op", kList);

}  // namespace

MemoryCall memory_op(Caller& caller, GuestLong command, GuestAddr arg) {
    const u32 op = static_cast<u32>(command.v) & ((1u << kExtentShift) - 1);
    const u64 start = command.v >> kExtentShift;
    switch (op) {
        case XENMEM_increase_reservation: return reservation(caller, op, start, arg, &increase);
        case XENMEM_decrease_reservation: return reservation(caller, op, start, arg, &decrease);
        case XENMEM_populate_physmap: return reservation(caller, op, start, arg, &populate);
        case XENMEM_exchange: return memory_exchange(caller, arg);
        default: break;
    }
    // The others have no extents.
    if (start != 0) return fail(Error::nosys);
    return kCommands.call(caller, op, arg);
}

}  // namespace domus::hypercall
