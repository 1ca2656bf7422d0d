// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl: how much memory there is, and where, and memory that is taken out of use. One NUMA node until the
// heap knows more.
#include "base/log.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/sysctl.hpp"
#include "mm/frame_refs.hpp"
#include "mm/heap.hpp"
#include "mm/page_offline.hpp"
#include "port/cpu.hpp"

namespace domus::hypercall {

Result<> sysctl_availheap(Caller&, xen_sysctl_availheap& arg) {
    const u32 max = arg.max_bitwidth == 0 || arg.max_bitwidth > 64 ? 64 : arg.max_bitwidth;
    const bool here = arg.node == -1 || arg.node == 0;
    arg.avail_bytes = here ? heap_free_frames(arg.min_bitwidth, max) * kPageSize : 0;
    return {};
}

Result<> sysctl_numainfo(Caller&, xen_sysctl_numainfo& arg) {
    constexpr u32 kNodes = 1, kHere = 10;  // a node's distance to itself (ACPI 6.4, 5.2.17)
    const GuestAddr memory = address_of(arg.meminfo), distance = address_of(arg.distance);
    if (arg.num_nodes != 0 && !memory.null()) {
        const xen_sysctl_meminfo_t info{.memsize = last_ram().v * kPageSize + kPageSize,
                                        .memfree = heap_free_frames() * kPageSize};
        TRY(memory.out<xen_sysctl_meminfo_t>().write(info));
    }
    if (arg.num_nodes != 0 && !distance.null()) TRY(distance.out<u32>().write(kHere));
    if (memory.null() && distance.null()) arg.num_nodes = kNodes;
    if (arg.num_nodes > kNodes) arg.num_nodes = kNodes;
    return {};
}

namespace {

// Who uses a frame that is not free. It may change at any time: for the person who reads it.
u32 user_of(Mfn m) {
    const Frame& f = frame_of(m);
    const bool owned = (f.refs.load(std::memory_order_relaxed) & kRefCount) != 0;
    const DomId owner = owned ? domus::detail::owner_hint(f) : kOwnerXen;
    const u32 kind = owner.v < DOMID_FIRST_RESERVED ? PG_OFFLINE_OWNED : PG_OFFLINE_XENPAGE;
    return kind | u32{owner.v} << PG_OFFLINE_OWNER_SHIFT;
}

// The status of one frame, as public sysctl.h has it.
u32 change_page(Caller& caller, u32 command, Mfn m) {
    if (command == sysctl_query_page_offline) {
        const Result<FrameUse> use = frame_use(m);
        if (!use) return PG_OFFLINE_INVALID;
        switch (*use) {
            case FrameUse::offline: return PG_OFFLINE_STATUS_OFFLINED;
            case FrameUse::goes_offline: return PG_OFFLINE_STATUS_OFFLINE_PENDING;
            default: return PG_OFFLINE_STATUS_ONLINE;
        }
    }
    if (command == sysctl_page_online) return bring_frame_online(m) ? PG_ONLINE_ONLINED : PG_OFFLINE_INVALID;
    const Result<FrameUse> use = take_frame_offline(m);
    if (!use) return PG_OFFLINE_INVALID;
    guest_log(Level::info, "d{}: takes frame {} out of use{}", caller.domain.id, m,
              *use == FrameUse::offline ? "" : ", as soon as it is given back");
    return *use == FrameUse::offline ? PG_OFFLINE_OFFLINED : PG_OFFLINE_PENDING | user_of(m);
}

}  // namespace

// How far a preempted call has come is written into its structure.
Result<> sysctl_page_offline_op(Caller& caller, GuestAddr where) {
    auto arg = TRY(where.in<xen_sysctl_page_offline_op>().read());
    if (arg.cmd < sysctl_page_offline || arg.cmd > sysctl_query_page_offline || arg.end < arg.start)
        return fail(Error::inval);
    for (;; arg.start++) {
        TRY(address_of(arg.status).out<u32>().write(change_page(caller, arg.cmd, Mfn(arg.start))));
        if (arg.start == arg.end) return {};
        arg.status.p++;
        if (!port::preempt_wanted()) continue;
        arg.start++;
        TRY(where.out<xen_sysctl_page_offline_op>().write(arg));
        return fail(Error::restart);
    }
}

}  // namespace domus::hypercall
