// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of memory_op share.
#pragma once

#include "abi/xen.hpp"
#include "hypercall/argument.hpp"
#include "hypercall/caller.hpp"
#include "hypercall/command.hpp"
#include "hypercall/outcome.hpp"
#include "mm/heap.hpp"

namespace domus::hypercall {

// memory_op(command, structure). Long operations go on at an extent, whose number travels above the command's
// six bits.
using MemoryCall = Preemptible<GuestLong, GuestAddr>;
inline constexpr unsigned kExtentShift = 6;
// … in the guest's long.
template <class L>
inline constexpr u64 kMaxExtents = typename L::Long(~u64{0}) >> kExtentShift;

// The largest extent a caller may ask for: contiguous memory is scarce, and an extent is cleared in one step,
// without preemption. 16 MiB for the domains that drive devices or build others, 2 MiB for all others; a PV
// guest's builder asks for no more than 2 MiB at a time, and goes on with less where that is refused.
inline unsigned max_extent_order(const Domain& caller) {
    constexpr unsigned kDevices = 12, kOthers = 9;
    return caller.privileged || caller.hardware ? kDevices : kOthers;
}

// The address limit in a reservation's flags (XENMEMF_address_bits); 0 means none. Frames of guests are
// cleared: they may have been anybody's.
inline AllocLimits limits_of(u32 mem_flags) {
    const u32 bits = XENMEMF_get_address_bits(mem_flags);
    return {.address_bits = bits == 0 || bits > 64 ? 64 : bits, .scrub = true};
}

// Those that know lists of frame numbers or continue in the command are templates over the guest's width.
// memory_reservation.cpp: increase_reservation, decrease_reservation, populate_physmap, from extent `start`
// on
template <class L>
MemoryCall memory_reservation(Caller& caller, u32 command, u64 start, GuestAddr arg);
// memory_exchange.cpp
template <class L>
MemoryCall memory_exchange(Caller& caller, GuestAddr arg);
// memory_resource.cpp: acquire_resource, from frame `start` of its list on
MemoryCall acquire_resource(Caller& caller, u64 start, GuestAddr arg);

// vnuma.cpp
template <class L>
Result<> get_vnumainfo(Caller& caller, GuestAddr where);

// memory_map.cpp
u64 ram_end();  // bytes: the first address behind all RAM
Result<> memory_map(Caller& caller, xen_memory_map_t& arg);
Result<> set_memory_map(Caller& caller, const xen_foreign_memory_map_t& arg);
Result<> machine_memory_map(Caller& caller, xen_memory_map_t& arg);
template <class L>
Result<> machphys_mapping(Caller& caller, Out<xen_machphys_mapping_t>& out);
template <class L>
Result<> machphys_mfn_list(Caller& caller, xen_machphys_mfn_list_t& arg);
template <class L>
Result<> machphys_compat_mfn_list(Caller& caller, xen_machphys_mfn_list_t& arg);
Result<> reserved_device_memory_map(Caller& caller, xen_reserved_device_memory_map_t& arg);

}  // namespace domus::hypercall
