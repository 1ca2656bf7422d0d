// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl: how much memory there is, and where. One NUMA node until the heap knows more.
#include "hypercall/bitmap.hpp"
#include "hypercall/sysctl.hpp"
#include "mm/heap.hpp"

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

}  // namespace domus::hypercall
