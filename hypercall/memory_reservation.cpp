// SPDX-License-Identifier: GPL-2.0-or-later
// Reservations: how a domain comes to memory and gives it back, for itself (ballooning) or by the control
// domain for another (building).
#include <optional>

#include "base/log.hpp"
#include "core/pages.hpp"
#include "hypercall/memory_op.hpp"
#include "hypercall/target.hpp"
#include "mm/frame_refs.hpp"
#include "port/cpu.hpp"
#include "port/topology.hpp"
#include "pv/m2p.hpp"

namespace domus::hypercall {

namespace {

struct Reservation {
    Domain& d;
    GuestLongs list;
    unsigned order;
    AllocLimits limits;
};

// One extent more, at this index of the guest's list.
using Step = Result<> (*)(const Reservation& r, u64 index);

// Notes which of the domain's pages new frames are, numbered from `gfn` on. Each is held meanwhile: another
// vCPU of the domain may have given it up already, and then it may be somebody else's.
void number_frames(const Domain& d, Mfn first, u64 count, std::optional<u64> gfn) {
    for (u64 i = 0; i < count; i++) {
        if (const auto page = get_page(first + i, d.id)) {
            pv::set_m2p(first + i, gfn ? *gfn + i : pv::kInvalidM2p);
        }
    }
}

// Writes where a new extent is; one that the guest cannot be told of is given back.
Result<> tell(const Reservation& r, u64 index, Mfn first) {
    const Result<> told = r.list.write(first.v, index);
    if (told) return {};
    number_frames(r.d, first, u64{1} << r.order, std::nullopt);
    for (u64 i = 0; i < u64{1} << r.order; i++) static_cast<void>(core::release_page(r.d, first + i));
    return told;
}

Result<> increase(const Reservation& r, u64 index) {
    const Mfn first = TRY(core::allocate_pages(r.d, r.order, r.limits));
    number_frames(r.d, first, u64{1} << r.order, std::nullopt);
    // Without a list the domain does not want to know which they are.
    if (r.list.null()) return {};
    return tell(r, index, first);
}

Result<> populate(const Reservation& r, u64 index) {
    const u64 gfn = TRY(r.list.read(index));
    const Mfn first = TRY(core::allocate_pages(r.d, r.order, r.limits));
    number_frames(r.d, first, u64{1} << r.order, gfn);
    return tell(r, index, first);
}

Result<> decrease(const Reservation& r, u64 index) {
    const u64 first = TRY(r.list.read(index));
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

// The machine has one node, 0. Another one that is only preferred falls back on it. A guest may name one of
// its own nodes instead, of which the host's is meant strictly.
bool nodes_exist(const Domain& d, u32 mem_flags) {
    constexpr u32 kNoNode = 0xff;
    const u32 node = XENMEMF_get_node(mem_flags);
    if (node == kNoNode) return true;
    if ((mem_flags & XENMEMF_vnode) != 0) {
        const core::VirtualNuma* const t = d.virtual_numa.get();
        if (t == nullptr) return true;  // means nothing
        if (node >= t->nodes) return false;
        return t->host_node[node] == 0 || t->host_node[node] == core::kNoHostNode;
    }
    if (node == 0) return true;
    return node < kMaxNodes && (mem_flags & XENMEMF_exact_node_request) == 0;
}

// Why nothing of a reservation is done; null if it may be.
const char* reason_against(const Caller& caller, const Domain& d, u32 command,
                           const xen_memory_reservation_t& r) {
    if (r.extent_order > max_extent_order(caller.domain)) return "its extents are too large";
    if (command == XENMEM_decrease_reservation) return nullptr;
    if (!nodes_exist(d, r.mem_flags)) return "there is no such node";
    // A PV guest sees machine frames: there is nothing to fill in later.
    if ((r.mem_flags & XENMEMF_populate_on_demand) != 0) return "PV guests are not populated on demand";
    return nullptr;
}

[[gnu::cold]] void log_stop(const Caller& caller, u32 command, u16 domid, u64 at, u64 of, const char* why) {
    guest_log(Level::debug, "d{}: memory_op {} for d{} stops at extent {} of {}: {}", caller.domain.id,
              command, domid, at, of, why);
}

Step step_of(u32 command) {
    switch (command) {
        case XENMEM_increase_reservation: return &increase;
        case XENMEM_decrease_reservation: return &decrease;
        default: return &populate;
    }
}

}  // namespace

// Returns the number of extents that were done, whatever stopped it: that is how callers learn of failures.
template <class L>
MemoryCall memory_reservation(Caller& caller, u32 command, u64 start, GuestAddr arg) {
    const xen_memory_reservation_t r = TRY((read_wire<L, xen_memory_reservation_t>(arg)));
    if (r.nr_extents > kMaxExtents<L> || start > r.nr_extents) return static_cast<s64>(start);
    const auto stop = [&](u64 at, const char* why) {
        log_stop(caller, command, r.domid, at, r.nr_extents, why);
        return static_cast<s64>(at);
    };
    const Result<Domain*> d = target_domain(caller, r.domid);
    if (!d) return stop(start, d.error() == Error::perm ? "only the control domain may" : "no such domain");
    if (const char* why = reason_against(caller, **d, command, r)) return stop(start, why);

    const Reservation work{.d = **d,
                           .list = GuestLongs::of<L>(handle_address(r.extent_start)),
                           .order = r.extent_order,
                           .limits = limits_of(r.mem_flags)};
    const Step step = step_of(command);
    for (u64 i = start; i < r.nr_extents; i++) {
        if (i != start && port::preempt_wanted()) {
            return again(GuestLong(command | i << kExtentShift), arg);
        }
        const Result<> done = step(work, i);
        if (done) continue;
        switch (done.error()) {
            // Ordinary: builders and balloons try.
            case Error::nomem: return static_cast<s64>(i);
            case Error::fault: return stop(i, "its list cannot be read or written");
            default: return stop(i, "the domain has no such page, or is dying");
        }
    }
    return static_cast<s64>(r.nr_extents);
}
template MemoryCall memory_reservation<Layout64>(Caller&, u32, u64, GuestAddr);
template MemoryCall memory_reservation<Layout32>(Caller&, u32, u64, GuestAddr);

}  // namespace domus::hypercall
