// SPDX-License-Identifier: GPL-2.0-or-later
// memory_op (12): a domain's memory: reservations, limits and the machine's map.
#include "hypercall/memory_op.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "core/claims.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/target.hpp"

namespace domus::hypercall {

namespace {

// ---- what there is ------------------------------------------------------------------------------

struct OneDomain {
    static constexpr bool kSameIn32 = true;
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
    if (d->dying.load() != Dying::no) return fail(Error::srch);  // its shared page may be gone
    // A guest that has not said anything yet has its first page: less would be an error number, and end a
    // restore before it begins.
    const u64 pages = d->is_32bit
                          ? __atomic_load_n(&reinterpret_cast<shared_info_x86_32*>(d->shared)->arch.max_pfn,
                                            __ATOMIC_RELAXED)
                          : __atomic_load_n(&d->shared->arch.max_pfn, __ATOMIC_RELAXED);
    return static_cast<s64>(std::clamp<u64>(pages, 1, u64{1} << 52)) - 1;
}

// The first frame behind all RAM.
Result<s64> maximum_ram_page(Caller&) { return static_cast<s64>(ram_end() >> kPageShift); }

// Populating on demand is for guests whose physical memory the hypervisor translates.
Result<> pod_target(Caller& caller, const xen_pod_target_t& arg) {
    TRY(target_domain(caller, arg.domid));
    return fail(Error::inval);
}

Result<> claim_pages(Caller& caller, const xen_memory_reservation_t& arg) {
    if (arg.extent_start.p != nullptr || arg.extent_order != 0 || arg.mem_flags != 0)
        return fail(Error::inval);
    Domain* d = TRY(target_domain(caller, arg.domid));
    const Result<> done = core::claim_pages(*d, arg.nr_extents);
    if (!done) {
        guest_log(
            Level::info,
            "d{}: a claim of {} pages for d{} fails ({}): it has {}, may have {}; {} are free, {} claimed",
            caller.domain.id, u64{arg.nr_extents}, d->id, done.error(), d->pages.total, d->pages.max,
            heap_free_frames(), core::outstanding_claims());
    }
    return done;
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

template <class L>
constexpr Command<> kList[1] = {};
template <>
constexpr Command<> kList<Layout64>[] = {
    command<Layout64, &maximum_ram_page>(XENMEM_maximum_ram_page, "maximum_ram_page"),
    command<Layout64, &current_reservation>(XENMEM_current_reservation, "current_reservation"),
    command<Layout64, &maximum_reservation>(XENMEM_maximum_reservation, "maximum_reservation"),
    command<Layout64, &add_to_physmap>(XENMEM_add_to_physmap, "add_to_physmap"),
    command<Layout64, &memory_map>(XENMEM_memory_map, "memory_map"),
    command<Layout64, &set_memory_map>(XENMEM_set_memory_map, "set_memory_map", Who::control),
    command<Layout64, &machphys_mfn_list<Layout64>>(XENMEM_machphys_mfn_list, "machphys_mfn_list"),
    command<Layout64, &machphys_compat_mfn_list<Layout64>>(XENMEM_machphys_compat_mfn_list,
                                                           "machphys_compat_mfn_list"),
    command<Layout64, &pod_target>(XENMEM_set_pod_target, "set_pod_target", Who::control),
    command<Layout64, &pod_target>(XENMEM_get_pod_target, "get_pod_target", Who::control),
    command<Layout64, &claim_pages>(XENMEM_claim_pages, "claim_pages", Who::control),
    command<Layout64, &get_vnumainfo<Layout64>>(XENMEM_get_vnumainfo, "get_vnumainfo"),
    command<Layout64, &reserved_device_memory_map>(XENMEM_reserved_device_memory_map,
                                                   "reserved_device_memory_map"),
    command<Layout64, &machine_memory_map>(XENMEM_machine_memory_map, "machine_memory_map",
                                           Who::control_or_hardware),
    command<Layout64, &machphys_mapping<Layout64>>(XENMEM_machphys_mapping, "machphys_mapping"),
    command<Layout64, &maximum_gpfn>(XENMEM_maximum_gpfn, "maximum_gpfn"),
    command<Layout64, &remove_from_physmap>(XENMEM_remove_from_physmap, "remove_from_physmap"),
    command<Layout64, &no_sharing>(XENMEM_get_sharing_freed_pages, "get_sharing_freed_pages"),
    command<Layout64, &no_sharing>(XENMEM_get_sharing_shared_pages, "get_sharing_shared_pages"),
    command<Layout64, &add_to_physmap_batch>(XENMEM_add_to_physmap_batch, "add_to_physmap_batch"),
};
// What is for toolstacks is not for 32-bit domains.
template <>
constexpr Command<> kList<Layout32>[] = {
    command<Layout32, &maximum_ram_page>(XENMEM_maximum_ram_page, "maximum_ram_page"),
    command<Layout32, &current_reservation>(XENMEM_current_reservation, "current_reservation"),
    command<Layout32, &maximum_reservation>(XENMEM_maximum_reservation, "maximum_reservation"),
    command<Layout32, &add_to_physmap>(XENMEM_add_to_physmap, "add_to_physmap"),
    command<Layout32, &memory_map>(XENMEM_memory_map, "memory_map"),
    command<Layout32, &machphys_mfn_list<Layout32>>(XENMEM_machphys_mfn_list, "machphys_mfn_list"),
    command<Layout32, &machphys_compat_mfn_list<Layout32>>(XENMEM_machphys_compat_mfn_list,
                                                           "machphys_compat_mfn_list"),
    command<Layout32, &machphys_mapping<Layout32>>(XENMEM_machphys_mapping, "machphys_mapping"),
    command<Layout32, &get_vnumainfo<Layout32>>(XENMEM_get_vnumainfo, "get_vnumainfo"),
    command<Layout32, &maximum_gpfn>(XENMEM_maximum_gpfn, "maximum_gpfn"),
    command<Layout32, &remove_from_physmap>(XENMEM_remove_from_physmap, "remove_from_physmap"),
    command<Layout32, &no_sharing>(XENMEM_get_sharing_freed_pages, "get_sharing_freed_pages"),
    command<Layout32, &no_sharing>(XENMEM_get_sharing_shared_pages, "get_sharing_shared_pages"),
};
template <class L>
constexpr Commands kCommands("memory_op", kList<L>);

}  // namespace

template <class L>
MemoryCall memory_op(Caller& caller, GuestLong command, GuestAddr arg) {
    const u32 op = static_cast<u32>(command.v) & ((1u << kExtentShift) - 1);
    const u64 start = command.v >> kExtentShift;
    switch (op) {
        case XENMEM_increase_reservation:
        case XENMEM_decrease_reservation:
        case XENMEM_populate_physmap: return memory_reservation<L>(caller, op, start, arg);
        case XENMEM_exchange: return memory_exchange<L>(caller, arg);
        case XENMEM_acquire_resource: return acquire_resource(caller, start, arg);
        default: break;
    }
    // The others have no extents.
    if (start != 0) return fail(Error::nosys);
    return kCommands<L>.call(caller, op, arg);
}

template MemoryCall memory_op<Layout64>(Caller& caller, GuestLong command, GuestAddr arg);
template MemoryCall memory_op<Layout32>(Caller& caller, GuestLong command, GuestAddr arg);

}  // namespace domus::hypercall
