// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl: the machine's processors and their abilities.
#include <algorithm>

#include "core/claims.hpp"
#include "core/cpupool.hpp"
#include "core/scheduler.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/platform.hpp"
#include "hypercall/sysctl.hpp"
#include "mm/heap.hpp"
#include "port/cpu.hpp"
#include "port/cpuid.hpp"
#include "port/time.hpp"
#include "port/topology.hpp"

namespace domus::hypercall {

namespace {

// CPUID's feature words in the order of the ABI's featureset (public arch-x86/cpufeatureset.h).
void read_capabilities(u32 (&words)[8]) {
    const u32 last = port::cpuid(0, 0).eax;
    const u32 last_extended = port::cpuid(0x80000000, 0).eax;
    const auto leaf = [&](u32 number, u32 sub) {
        const bool extended = number >= 0x80000000;
        return number <= (extended ? last_extended : last) ? port::cpuid(number, sub) : CpuidLeaf{};
    };
    const CpuidLeaf one = leaf(1, 0), extended = leaf(0x80000001, 0), seven = leaf(7, 0);
    // AMD repeats words of leaf 1 in the extended leaf, and has SYSENTER outside long mode only.
    constexpr u32 kAmd = 0x68747541, kHygon = 0x6f677948;  // "Auth", "Hygo"
    constexpr u32 kSysenter = 1u << 11, kRepeated = 0x0183f3ff;
    const u32 vendor = port::cpuid(0, 0).ebx;
    const bool amd = vendor == kAmd || vendor == kHygon;
    words[0] = amd ? one.edx & ~kSysenter : one.edx;
    words[1] = one.ecx;
    words[2] = amd ? extended.edx & ~kRepeated : extended.edx;
    words[3] = extended.ecx;
    words[4] = leaf(0xd, 1).eax;
    words[5] = seven.ebx;
    words[6] = seven.ecx;
    words[7] = leaf(0x80000007, 0).edx;
}

// How many CPUs share the first one's core, and how many its socket.
struct Siblings {
    u32 core = 0, socket = 0;
};
Siblings count_siblings() {
    const CpuTopology first = port::cpu_topology(CpuId(0));
    Siblings s{.core = 1, .socket = 1};
    for (CpuId cpu{1}; cpu.v < port::cpu_count(); ++cpu) {
        const CpuTopology t = port::cpu_topology(cpu);
        if (t.socket != first.socket) continue;
        s.socket++;
        s.core += t.core == first.core ? 1 : 0;
    }
    return s;
}

}  // namespace

Result<> sysctl_physinfo(Caller&, xen_sysctl_physinfo& info) {
    const Siblings siblings = count_siblings();
    info = {};
    info.threads_per_core = siblings.core;
    info.cores_per_socket = siblings.socket / siblings.core;
    info.nr_cpus = core::online_cpus();
    info.max_cpu_id = port::cpu_count() - 1;
    info.nr_nodes = 1;
    info.max_node_id = kMaxNodes - 1;
    info.cpu_khz = static_cast<u32>(port::tsc_khz());
    info.capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1 | XEN_SYSCTL_PHYSCAP_gnttab_v2;
    info.total_pages = platform().total_pages;
    info.free_pages = heap_free_frames();
    info.outstanding_pages = core::outstanding_claims();
    info.max_mfn = last_ram().v;
    read_capabilities(info.hw_cap);
    return {};
}

Result<> sysctl_getcpuinfo(Caller&, xen_sysctl_getcpuinfo& arg) {
    const u32 count = std::min(arg.max_cpus, port::cpu_count());
    const GuestOut<xen_sysctl_cpuinfo_t> out = address_of(arg.info).out<xen_sysctl_cpuinfo_t>();
    const Nanos now = port::now();
    for (CpuId cpu{0}; cpu.v < count; ++cpu)
        TRY(out.write({.idletime = static_cast<u64>(core::scheduler().idle_time(cpu, now))}, cpu.v));
    arg.nr_cpus = count;
    return {};
}

Result<> sysctl_cputopoinfo(Caller&, xen_sysctl_cputopoinfo& arg) {
    const GuestAddr list = address_of(arg.cputopo);
    const u32 count = list.null() ? port::cpu_count() : std::min(arg.num_cpus, port::cpu_count());
    for (CpuId cpu{0}; cpu.v < count && !list.null(); ++cpu) {
        const CpuTopology t = port::cpu_topology(cpu);
        const bool online = core::cpu_online(cpu);
        const xen_sysctl_cputopo_t one{.core = online ? t.core : XEN_INVALID_CORE_ID,
                                       .socket = online ? t.socket : XEN_INVALID_SOCKET_ID,
                                       .node = t.node};
        TRY(list.out<xen_sysctl_cputopo_t>().write(one, cpu.v));
    }
    arg.num_cpus = count;
    return {};
}

// The node of each device. What the hardware domain has not told of is unknown.
Result<> sysctl_pcitopoinfo(Caller&, xen_sysctl_pcitopoinfo& arg) {
    const GuestAddr devices = address_of(arg.devs), nodes = address_of(arg.nodes);
    if (devices.null() || nodes.null()) return fail(Error::inval);
    for (u32 i = 0; i < arg.num_devs; i++) {
        const auto device = TRY(devices.in<physdev_pci_device_t>().read(i));
        const auto known = platform().pci_known;
        const bool exists =
            known != nullptr && known({.segment = device.seg, .bus = device.bus, .devfn = device.devfn});
        TRY(nodes.out<u32>().write(exists ? XEN_INVALID_NODE_ID : XEN_INVALID_DEV, i));
        // The caller goes on with the rest.
        if (i + 1 < arg.num_devs && port::preempt_wanted()) {
            arg.num_devs = i + 1;
            break;
        }
    }
    return {};
}

}  // namespace domus::hypercall
