// SPDX-License-Identifier: GPL-2.0-or-later
// memory_op's maps: of the machine's memory, of a guest's, and of the machine-to-physical table.
#include <algorithm>

#include "arch_state/layout.hpp"
#include "core/memory_map.hpp"
#include "hypercall/memory_op.hpp"
#include "hypercall/platform.hpp"
#include "hypercall/target.hpp"
#include "port/memory.hpp"

namespace domus::hypercall {

using core::E820Entry;

namespace {
constexpr u32 kE820Ram = 1;
}

u64 ram_end() {
    u64 end = 0;
    for (const auto& range : platform().machine_map) {
        if (range.type == kE820Ram) end = std::max(end, range.start + range.size);
    }
    return end;
}

Result<> machine_memory_map(Caller&, xen_memory_map_t& arg) {
    const auto map = platform().machine_map;
    const auto entries = static_cast<u32>(map.size());
    const GuestOut<E820Entry> buffer(reinterpret_cast<u64>(arg.buffer.p));
    if (!buffer.null()) {
        if (arg.nr_entries < entries) return fail(Error::inval);
        for (u32 n = 0; n < entries; n++) {
            TRY(buffer.write({map[n].start, map[n].size, map[n].type}, n));
        }
    }
    arg.nr_entries = entries;
    return {};
}

Result<> memory_map(Caller& caller, xen_memory_map_t& arg) {
    const GuestOut<E820Entry> buffer(reinterpret_cast<u64>(arg.buffer.p));
    constexpr u32 kBatch = 16;
    E820Entry batch[kBatch];
    u32 done = 0;
    do {
        const auto n = caller.domain.memory_map.read(done, batch, std::min(kBatch, arg.nr_entries - done));
        // For a domain without a map the operation does not exist.
        if (!n) return fail(Error::nosys);
        if (*n == 0) break;
        TRY(buffer.write(done, batch, *n));
        done += *n;
    } while (done < arg.nr_entries);
    arg.nr_entries = done;
    return {};
}

Result<> set_memory_map(Caller& caller, const xen_foreign_memory_map_t& arg) {
    if (arg.map.nr_entries > core::MemoryMap::kMaxEntries) return fail(Error::inval);
    Domain* d = TRY(target_domain(caller, arg.domid));
    auto entries = TRY(make_array<E820Entry>(arg.map.nr_entries));
    if (entries.size() != 0) {
        const GuestIn<E820Entry> buffer(reinterpret_cast<u64>(arg.map.buffer.p));
        TRY(buffer.read(0, entries.data(), entries.size()));
    }
    d->memory_map.set(std::move(entries));
    return {};
}

template <class L>
Result<> machphys_mapping(Caller&, Out<xen_machphys_mapping_t>& out) {
    if constexpr (std::is_same_v<L, Layout32>) {
        out.v = {.v_start = abi32::kM2pStart, .v_end = abi32::kM2pEnd, .max_mfn = abi32::kM2pEntries - 1};
        return {};
    }
    out.v.v_start = layout::kGuestM2p;
    out.v.v_end = layout::kGuestM2pEnd;
    out.v.max_mfn = (layout::kGuestM2pEnd - layout::kGuestM2p) / sizeof(u64) - 1;
    return {};
}

namespace {

// A table's blocks of 2 MiB, each of which tells of `covers` bytes of memory.
Result<> list_blocks(xen_machphys_mfn_list_t& arg, const GuestLongs& list, u64 covers, Mfn (*block)(u64)) {
    const u64 chunks = std::min<u64>(arg.max_extents, (ram_end() + covers - 1) / covers);
    u64 n = 0;
    Mfn mapped{0};
    for (; n < chunks; n++) {
        // Where there is no memory there is no table. The header gives such gaps the number 0; but tools map
        // every extent of the list, and are served better by one that exists.
        if (const Mfn m = block(n); m != kNoMfn) mapped = m;
        TRY(list.write(mapped.v, n));
    }
    arg.nr_extents = static_cast<u32>(n);
    return {};
}

}  // namespace

template <class L>
Result<> machphys_mfn_list(Caller& caller, xen_machphys_mfn_list_t& arg) {
    if constexpr (std::is_same_v<L, Layout32>) return machphys_compat_mfn_list<L>(caller, arg);
    return list_blocks(arg, GuestLongs::of<L>(handle_address(arg.extent_start)), kGiB, &port::m2p_block);
}

// The table of 32-bit guests, half as wide.
template <class L>
Result<> machphys_compat_mfn_list(Caller&, xen_machphys_mfn_list_t& arg) {
    return list_blocks(arg, GuestLongs::of<L>(handle_address(arg.extent_start)), 2 * kGiB,
                       &port::m2p32_block);
}

template Result<> machphys_mapping<Layout64>(Caller&, Out<xen_machphys_mapping_t>&);
template Result<> machphys_mapping<Layout32>(Caller&, Out<xen_machphys_mapping_t>&);
template Result<> machphys_mfn_list<Layout64>(Caller&, xen_machphys_mfn_list_t&);
template Result<> machphys_mfn_list<Layout32>(Caller&, xen_machphys_mfn_list_t&);
template Result<> machphys_compat_mfn_list<Layout64>(Caller&, xen_machphys_mfn_list_t&);
template Result<> machphys_compat_mfn_list<Layout32>(Caller&, xen_machphys_mfn_list_t&);

// Regions that devices of a guest's must find mapped one to one. They are the IOMMU's: without one, no device
// needs any.
Result<> reserved_device_memory_map(Caller&, xen_reserved_device_memory_map_t& arg) {
    if ((arg.flags & ~u32{XENMEM_RDM_ALL}) != 0) return fail(Error::inval);
    arg.nr_entries = 0;
    return {};
}

}  // namespace domus::hypercall
