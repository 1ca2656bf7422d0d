// SPDX-License-Identifier: GPL-2.0-or-later
// How the ABI's structures cross to and from a guest of a given width. Handlers know only the 64-bit
// structure: Wire<Layout, T> says what the guest has in its memory instead, and turns one into the other. For
// Layout64 nothing is left of it.
//
// A structure that is the same for both widths says so (same_in_32): one that says nothing does not compile
// for Layout32.
#pragma once

#include <type_traits>

#include "abi/xen.hpp"
#include "abi/xen32.hpp"
#include "hypercall/argument.hpp"

namespace domus::hypercall {

template <class T>
inline constexpr bool same_in_32 = std::is_integral_v<T> || requires { requires T::kSameIn32; };

template <class L, class T>
struct Wire {
    static_assert(std::is_same_v<L, Layout64> || same_in_32<T>,
                  "how does a 32-bit guest lay this structure out?");
    using Type = T;
    static T widen(const Type& t) { return t; }
    static Type narrow(const T& t) { return t; }
};

// Reads and writes a structure at a guest's address. EFAULT.
template <class L, class T>
Result<T> read_wire(GuestAddr where) {
    using W = Wire<L, T>;
    return W::widen(TRY(where.in<typename W::Type>().read()));
}
template <class L, class T>
Result<> write_wire(GuestAddr where, const T& value) {
    using W = Wire<L, T>;
    // What is made anew has no gaps, in which the guest would find what our stack held.
    static_assert(std::is_same_v<typename W::Type, T> ||
                  std::has_unique_object_representations_v<typename W::Type>);
    return where.out<typename W::Type>().write(W::narrow(value));
}

// A guest's handle inside a structure, as the number that it is.
template <class H>
u64 handle_address(const H& handle) {
    return reinterpret_cast<u64>(handle.p);
}
template <class H>
void set_handle_address(H& handle, u64 address) {
    handle.p = reinterpret_cast<decltype(handle.p)>(address);
}

// An array of a guest's longs: frame numbers, mostly.
class GuestLongs {
  public:
    template <class L>
    static GuestLongs of(u64 address) {
        return GuestLongs(address, sizeof(typename L::Long) == 4);
    }
    bool null() const { return address_ == 0; }
    Result<u64> read(u64 index) const {
        if (narrow_) return u64{TRY(GuestIn<u32>(address_).read(index))};
        return GuestIn<u64>(address_).read(index);
    }
    // ERANGE: more than the guest's long holds.
    Result<> write(u64 value, u64 index) const {
        if (!narrow_) return GuestOut<u64>(address_).write(value, index);
        if (value > ~u32{0}) return fail(Error::range);
        return GuestOut<u32>(address_).write(static_cast<u32>(value), index);
    }

  private:
    GuestLongs(u64 address, bool narrow) : address_(address), narrow_(narrow) {}
    u64 address_;
    bool narrow_;
};

// ---- the same for both ----------------------------------------------------------------------------

#define DOMUS_SAME_IN_32(type, size)               \
    template <>                                    \
    inline constexpr bool same_in_32<type> = true; \
    static_assert(sizeof(type) == (size))
DOMUS_SAME_IN_32(callback_unregister_t, 4);
DOMUS_SAME_IN_32(gnttab_map_grant_ref_t, 32);
DOMUS_SAME_IN_32(gnttab_unmap_grant_ref_t, 24);
DOMUS_SAME_IN_32(gnttab_unmap_and_replace_t, 24);
DOMUS_SAME_IN_32(gnttab_query_size_t, 16);
DOMUS_SAME_IN_32(gnttab_set_version_t, 4);
DOMUS_SAME_IN_32(gnttab_get_version_t, 8);
DOMUS_SAME_IN_32(gnttab_swap_grant_ref_t, 12);
DOMUS_SAME_IN_32(gnttab_cache_flush_t, 16);
DOMUS_SAME_IN_32(gnttab_dump_table_t, 4);
DOMUS_SAME_IN_32(vcpu_register_vcpu_info_t, 16);
DOMUS_SAME_IN_32(vcpu_get_physid_t, 8);
DOMUS_SAME_IN_32(vcpu_set_periodic_timer_t, 8);
DOMUS_SAME_IN_32(sched_shutdown_t, 4);
DOMUS_SAME_IN_32(sched_remote_shutdown_t, 8);
DOMUS_SAME_IN_32(sched_watchdog_t, 8);
DOMUS_SAME_IN_32(sched_pin_override_t, 4);
DOMUS_SAME_IN_32(xen_feature_info_t, 8);
DOMUS_SAME_IN_32(xen_compile_info_t, 144);
DOMUS_SAME_IN_32(physdev_eoi_t, 4);
DOMUS_SAME_IN_32(physdev_irq_status_query_t, 8);
DOMUS_SAME_IN_32(physdev_set_iopl_t, 4);
DOMUS_SAME_IN_32(abi32::CallbackRegister, 12);  // what only 32-bit guests have
DOMUS_SAME_IN_32(abi32::NmiCallback, 8);
#undef DOMUS_SAME_IN_32

// ---- different --------------------------------------------------------------------------------------

template <>
struct Wire<Layout32, trap_info_t> {
    using Type = trap_info_x86_32;
    static trap_info_t widen(const Type& t) { return {t.vector, t.flags, t.cs, t.address}; }
};

template <>
struct Wire<Layout32, xen_memory_reservation_t> {
    using Type = abi32::MemoryReservation;
    static xen_memory_reservation_t widen(const Type& t) {
        xen_memory_reservation_t w{};
        set_handle_address(w.extent_start, t.extent_start);
        w.nr_extents = t.nr_extents;
        w.extent_order = t.extent_order;
        w.mem_flags = t.mem_flags;
        w.domid = t.domid;
        return w;
    }
    static Type narrow(const xen_memory_reservation_t& w) {
        return {.extent_start = static_cast<u32>(handle_address(w.extent_start)),
                .nr_extents = static_cast<u32>(w.nr_extents),
                .extent_order = w.extent_order,
                .mem_flags = w.mem_flags,
                .domid = w.domid};
    }
};

template <>
struct Wire<Layout32, xen_memory_exchange_t> {
    using Type = abi32::MemoryExchange;
    using Part = Wire<Layout32, xen_memory_reservation_t>;
    static xen_memory_exchange_t widen(const Type& t) {
        return {.in = Part::widen(t.in), .out = Part::widen(t.out), .nr_exchanged = t.nr_exchanged};
    }
    static Type narrow(const xen_memory_exchange_t& w) {
        return {.in = Part::narrow(w.in),
                .out = Part::narrow(w.out),
                .nr_exchanged = static_cast<u32>(w.nr_exchanged)};
    }
};

template <>
struct Wire<Layout32, xen_machphys_mapping_t> {
    using Type = abi32::MachphysMapping;
    static Type narrow(const xen_machphys_mapping_t& w) {
        return {static_cast<u32>(w.v_start), static_cast<u32>(w.v_end), static_cast<u32>(w.max_mfn)};
    }
};

template <>
struct Wire<Layout32, xen_machphys_mfn_list_t> {
    using Type = abi32::MachphysMfnList;
    static xen_machphys_mfn_list_t widen(const Type& t) {
        xen_machphys_mfn_list_t w{};
        w.max_extents = t.max_extents;
        set_handle_address(w.extent_start, t.extent_start);
        w.nr_extents = t.nr_extents;
        return w;
    }
    static Type narrow(const xen_machphys_mfn_list_t& w) {
        return {w.max_extents, static_cast<u32>(handle_address(w.extent_start)), w.nr_extents};
    }
};

template <>
struct Wire<Layout32, xen_memory_map_t> {
    using Type = abi32::MemoryMap;
    static xen_memory_map_t widen(const Type& t) {
        xen_memory_map_t w{};
        w.nr_entries = t.nr_entries;
        set_handle_address(w.buffer, t.buffer);
        return w;
    }
    static Type narrow(const xen_memory_map_t& w) {
        return {w.nr_entries, static_cast<u32>(handle_address(w.buffer))};
    }
};

template <>
struct Wire<Layout32, xen_add_to_physmap_t> {
    using Type = abi32::AddToPhysmap;
    static xen_add_to_physmap_t widen(const Type& t) {
        xen_add_to_physmap_t w{};
        w.domid = t.domid, w.size = t.size, w.space = t.space, w.idx = t.idx, w.gpfn = t.gpfn;
        return w;
    }
};

template <>
struct Wire<Layout32, xen_remove_from_physmap_t> {
    using Type = abi32::RemoveFromPhysmap;
    static xen_remove_from_physmap_t widen(const Type& t) { return {.domid = t.domid, .gpfn = t.gpfn}; }
};

template <>
struct Wire<Layout32, gnttab_setup_table_t> {
    using Type = abi32::GnttabSetupTable;
    static gnttab_setup_table_t widen(const Type& t) {
        gnttab_setup_table_t w{};
        w.dom = t.dom, w.nr_frames = t.nr_frames, w.status = t.status;
        set_handle_address(w.frame_list, t.frame_list);
        return w;
    }
    static Type narrow(const gnttab_setup_table_t& w) {
        return {.dom = w.dom,
                .nr_frames = w.nr_frames,
                .status = w.status,
                .frame_list = static_cast<u32>(handle_address(w.frame_list))};
    }
};

template <>
struct Wire<Layout32, gnttab_get_status_frames_t> {
    using Type = abi32::GnttabGetStatusFrames;
    static gnttab_get_status_frames_t widen(const Type& t) {
        gnttab_get_status_frames_t w{};
        w.nr_frames = t.nr_frames, w.dom = t.dom, w.status = t.status;
        set_handle_address(w.frame_list, t.frame_list);
        return w;
    }
    static Type narrow(const gnttab_get_status_frames_t& w) {
        return {w.nr_frames, w.dom, w.status, static_cast<u32>(handle_address(w.frame_list))};
    }
};

template <>
struct Wire<Layout32, gnttab_copy_t> {
    using Type = abi32::GnttabCopy;
    static gnttab_copy_t widen(const Type& t) {
        gnttab_copy_t w{};
        // The grant reference is the low half of the frame number, in the union of both.
        w.source.u.gmfn = t.source.ref_or_gmfn, w.source.domid = t.source.domid,
        w.source.offset = t.source.offset;
        w.dest.u.gmfn = t.dest.ref_or_gmfn, w.dest.domid = t.dest.domid, w.dest.offset = t.dest.offset;
        w.len = t.len, w.flags = t.flags, w.status = t.status;
        return w;
    }
};

template <>
struct Wire<Layout32, gnttab_transfer_t> {
    using Type = abi32::GnttabTransfer;
    static gnttab_transfer_t widen(const Type& t) {
        gnttab_transfer_t w{};
        w.mfn = t.mfn, w.domid = t.domid, w.ref = t.ref, w.status = t.status;
        return w;
    }
};

template <>
struct Wire<Layout32, physdev_set_iobitmap_t> {
    using Type = abi32::PhysdevSetIobitmap;
    static physdev_set_iobitmap_t widen(const Type& t) {
        physdev_set_iobitmap_t w{};
        set_handle_address(w.bitmap, t.bitmap);
        w.nr_ports = t.nr_ports;
        return w;
    }
};

template <>
struct Wire<Layout32, mmuext_op_t> {
    using Type = abi32::MmuextOp;  // widened by pv/mmu_ext.cpp, which reads the list
};

template <>
struct Wire<Layout32, sched_poll_t> {
    using Type = abi32::SchedPoll;
    static sched_poll_t widen(const Type& t) {
        sched_poll_t w{};
        set_handle_address(w.ports, t.ports);
        w.nr_ports = t.nr_ports;
        w.timeout = t.timeout;
        return w;
    }
};

template <>
struct Wire<Layout32, vcpu_runstate_info_t> {
    using Type = abi32::VcpuRunstateInfo;
    static Type narrow(const vcpu_runstate_info_t& w) {
        return {w.state, w.state_entry_time, {w.time[0], w.time[1], w.time[2], w.time[3]}};
    }
};

template <>
struct Wire<Layout32, vcpu_set_singleshot_timer_t> {
    using Type = abi32::VcpuSetSingleshotTimer;
    static vcpu_set_singleshot_timer_t widen(const Type& t) { return {t.timeout_abs_ns, t.flags}; }
};

// The union of a pointer and a 64-bit number: of the eight bytes the guest writes four.
template <>
struct Wire<Layout32, vcpu_register_runstate_memory_area_t> {
    using Type = vcpu_register_runstate_memory_area_t;
    static Type widen(Type t) {
        t.addr.p = static_cast<u32>(t.addr.p);
        return t;
    }
};
template <>
struct Wire<Layout32, vcpu_register_time_memory_area_t> {
    using Type = vcpu_register_time_memory_area_t;
    static Type widen(Type t) {
        t.addr.p = static_cast<u32>(t.addr.p);
        return t;
    }
};

template <>
struct Wire<Layout32, xen_platform_parameters_t> {
    using Type = abi32::PlatformParameters;
    static Type narrow(const xen_platform_parameters_t& w) { return {static_cast<u32>(w.virt_start)}; }
};

}  // namespace domus::hypercall
