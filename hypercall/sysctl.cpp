// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl (35): the toolstack's operations on the machine. One row an operation.
#include "hypercall/sysctl.hpp"

#include "hypercall/families.hpp"

namespace domus::hypercall {

namespace {

constexpr Command<> kList[] = {
    command<&sysctl_readconsole>(XEN_SYSCTL_readconsole, "readconsole"),
    command<&sysctl_tbuf_op>(XEN_SYSCTL_tbuf_op, "tbuf_op"),
    command<&sysctl_physinfo>(XEN_SYSCTL_physinfo, "physinfo"),
    command<&sysctl_sched_id>(XEN_SYSCTL_sched_id, "sched_id"),
    command<&sysctl_debug_keys>(XEN_SYSCTL_debug_keys, "debug_keys"),
    command<&sysctl_getcpuinfo>(XEN_SYSCTL_getcpuinfo, "getcpuinfo"),
    command<&sysctl_getdomaininfolist>(XEN_SYSCTL_getdomaininfolist, "getdomaininfolist"),
    command<&sysctl_availheap>(XEN_SYSCTL_availheap, "availheap"),
    command<&sysctl_get_pmstat>(XEN_SYSCTL_get_pmstat, "get_pmstat"),
    command<&sysctl_cpu_hotplug>(XEN_SYSCTL_cpu_hotplug, "cpu_hotplug"),
    command<&sysctl_pm_op>(XEN_SYSCTL_pm_op, "pm_op"),
    command<&sysctl_cputopoinfo>(XEN_SYSCTL_cputopoinfo, "cputopoinfo"),
    command<&sysctl_numainfo>(XEN_SYSCTL_numainfo, "numainfo"),
    command<&sysctl_cpupool_op>(XEN_SYSCTL_cpupool_op, "cpupool_op"),
    command<&sysctl_scheduler_op>(XEN_SYSCTL_scheduler_op, "scheduler_op"),
    command<&sysctl_pcitopoinfo>(XEN_SYSCTL_pcitopoinfo, "pcitopoinfo"),
    command<&sysctl_page_offline_op>(XEN_SYSCTL_page_offline_op, "page_offline_op"),
    // psr.cpp
    command<&sysctl_psr_cmt_op>(XEN_SYSCTL_psr_cmt_op, "psr_cmt_op"),
    command<&sysctl_psr_alloc>(XEN_SYSCTL_psr_alloc, "psr_alloc"),
    // sysctl_cpu.cpp
    command<&sysctl_get_cpu_levelling_caps>(XEN_SYSCTL_get_cpu_levelling_caps, "get_cpu_levelling_caps"),
    command<&sysctl_get_cpu_featureset>(XEN_SYSCTL_get_cpu_featureset, "get_cpu_featureset"),
    command<&sysctl_get_cpu_policy>(XEN_SYSCTL_get_cpu_policy, "get_cpu_policy"),
};
constexpr Commands kCommands("sysctl", kList);

}  // namespace

Preemptible<GuestAddr> sysctl(Caller& caller, GuestAddr op) {
    struct Header {
        u32 command, version;
    };
    static_assert(offsetof(xen_sysctl_t, u) == sizeof(Header));
    const Header header = TRY(op.in<Header>().read());
    if (header.version != XEN_SYSCTL_INTERFACE_VERSION) return fail(Error::access);
    const Value value = kCommands.call(caller, header.command, op.offset(sizeof(Header)));
    if (!value && value.error() == Error::restart) return again(op);
    return value;
}

}  // namespace domus::hypercall
