// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's NUMA topology: set by domctl setvnumainfo, asked for by memory_op get_vnumainfo.
#include "core/vnuma.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "core/domain.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/domctl.hpp"
#include "hypercall/memory_op.hpp"
#include "hypercall/target.hpp"
#include "port/topology.hpp"

namespace domus::hypercall {

namespace {

// As many as their distances fill a page: more nodes than a guest has any use for.
constexpr u32 kMostNodes = 32;
static_assert(kMostNodes * kMostNodes * sizeof(u32) == kPageSize);
constexpr u32 kMostRanges = kPageSize / sizeof(xen_vmemrange_t);

template <class T>
Result<Array<T>> fetch(GuestAddr from, u32 count) {
    Array<T> list = TRY(make_array<T>(count));
    if (count != 0) TRY(from.in<T>().read(0, list.data(), count));
    return list;
}

template <class T>
Result<> give(const Array<T>& list, u64 to) {
    if (list.size() == 0) return {};
    return GuestOut<T>(to).write(0, list.data(), list.size());
}

Result<Box<core::VirtualNuma>> fetch_topology(const xen_domctl_vnuma& arg) {
    Box<core::VirtualNuma> topology = TRY(make<core::VirtualNuma>());
    const u32 nodes = topology->nodes = arg.nr_vnodes;
    topology->distance = TRY(fetch<u32>(address_of(arg.vdistance), nodes * nodes));
    topology->node_of_vcpu = TRY(fetch<u32>(address_of(arg.vcpu_to_vnode), arg.nr_vcpus));
    topology->host_node = TRY(fetch<u32>(address_of(arg.vnode_to_pnode), nodes));
    topology->ranges = TRY(fetch<xen_vmemrange_t>(address_of(arg.vmemrange), arg.nr_vmemranges));
    return topology;
}

// Why a topology cannot be; null if it can.
const char* reason_against(const core::VirtualNuma& t) {
    const u32 nodes = t.nodes;
    if (!std::ranges::all_of(t.node_of_vcpu, [nodes](u32 n) { return n < nodes; }))
        return "a vCPU lies in no node";
    if (!std::ranges::all_of(t.host_node, [](u32 n) { return n < kMaxNodes || n == core::kNoHostNode; }))
        return "the host has no such node";
    if (!std::ranges::all_of(t.ranges, [nodes](const xen_vmemrange_t& r) {
            return r.nid < nodes && r.start < r.end && r.flags == 0;
        }))
        return "a range of memory is empty, lies in no node or has flags";
    return nullptr;
}

}  // namespace

Result<> domctl_setvnumainfo(Caller& caller, Domain& d, const xen_domctl_vnuma& arg) {
    const auto refuse = [&](const char* why) {
        guest_log(Level::warning,
                  "d{}: setvnumainfo: {} nodes, {} ranges and {} vCPUs for d{} are refused: {}",
                  caller.domain.id, arg.nr_vnodes, arg.nr_vmemranges, arg.nr_vcpus, d.id, why);
        return fail(Error::inval);
    };
    if (arg.pad != 0) return fail(Error::inval);
    if (arg.nr_vnodes == 0 || arg.nr_vnodes > kMostNodes) return refuse("1 to 32 nodes can be");
    if (arg.nr_vmemranges == 0 || arg.nr_vmemranges > kMostRanges)
        return refuse("1 to 170 ranges of memory can be");
    static_assert(kMostNodes == 32 && kMostRanges == 170, "as the log says");
    if (arg.nr_vcpus != d.max_vcpus) return refuse("it has another number of vCPUs");
    Box<core::VirtualNuma> topology = TRY(fetch_topology(arg));
    if (const char* why = reason_against(*topology)) return refuse(why);
    d.virtual_numa.set(std::move(topology));
    return {};
}

// A caller with too little room learns how much it needs. EOPNOTSUPP: the guest has no topology.
template <class L>
Result<> get_vnumainfo(Caller& caller, GuestAddr where) {
    auto arg = TRY(where.in<xen_vnuma_topology_info_t>().read());
    if (arg.pad != 0) return fail(Error::inval);
    const Domain* d = TRY(target_domain(caller, arg.domid));
    const core::VirtualNuma* const t = d->virtual_numa.get();
    if (t == nullptr) return fail(Error::opnotsupp);
    const auto vcpus = static_cast<u32>(t->node_of_vcpu.size()), ranges = static_cast<u32>(t->ranges.size());
    const bool room = arg.nr_vnodes >= t->nodes && arg.nr_vcpus >= vcpus && arg.nr_vmemranges >= ranges;
    arg.nr_vnodes = t->nodes;
    arg.nr_vcpus = vcpus;
    arg.nr_vmemranges = ranges;
    if (room) {
        // A 32-bit guest sets the lower half of a handle.
        using Long = typename L::Long;
        TRY(give(t->distance, static_cast<Long>(arg.vdistance.pad)));
        TRY(give(t->node_of_vcpu, static_cast<Long>(arg.vcpu_to_vnode.pad)));
        TRY(give(t->ranges, static_cast<Long>(arg.vmemrange.pad)));
    }
    TRY(where.out<xen_vnuma_topology_info_t>().write(arg));
    return room ? Result<>{} : fail(Error::nobufs);
}
template Result<> get_vnumainfo<Layout64>(Caller&, GuestAddr);
template Result<> get_vnumainfo<Layout32>(Caller&, GuestAddr);
static_assert(sizeof(xen_vnuma_topology_info_t) == 40 && sizeof(xen_vmemrange_t) == 24,
              "the same in 32 bits");

}  // namespace domus::hypercall
