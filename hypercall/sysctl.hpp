// SPDX-License-Identifier: GPL-2.0-or-later
// The operations of sysctl (public sysctl.h), one function each; rows in sysctl.cpp, bodies in
// sysctl_SUBJECT.cpp.
#pragma once

#include "abi/xen.hpp"
#include "hypercall/command.hpp"

namespace domus::hypercall {

// sysctl_console.cpp
Result<> sysctl_readconsole(Caller& caller, xen_sysctl_readconsole& arg);
Result<> sysctl_debug_keys(Caller& caller, GuestAddr where);

// sysctl_machine.cpp
Result<> sysctl_physinfo(Caller& caller, xen_sysctl_physinfo& arg);
Result<> sysctl_getcpuinfo(Caller& caller, xen_sysctl_getcpuinfo& arg);
Result<> sysctl_cputopoinfo(Caller& caller, xen_sysctl_cputopoinfo& arg);
Result<> sysctl_pcitopoinfo(Caller& caller, xen_sysctl_pcitopoinfo& arg);

// domctl_info.cpp
Result<> sysctl_getdomaininfolist(Caller& caller, xen_sysctl_getdomaininfolist& arg);

// sysctl_memory.cpp
Result<> sysctl_availheap(Caller& caller, xen_sysctl_availheap& arg);
Result<> sysctl_page_offline_op(Caller& caller, GuestAddr where);
Result<> sysctl_numainfo(Caller& caller, xen_sysctl_numainfo& arg);

// sysctl_scheduler.cpp
Result<> sysctl_sched_id(Caller& caller, xen_sysctl_sched_id& arg);
Result<> sysctl_cpupool_op(Caller& caller, xen_sysctl_cpupool_op& arg);
Result<> sysctl_scheduler_op(Caller& caller, xen_sysctl_scheduler_op& arg);

// sysctl_trace.cpp
Result<> sysctl_tbuf_op(Caller& caller, xen_sysctl_tbuf_op& arg);

// psr.cpp
Result<> sysctl_psr_cmt_op(Caller& caller, xen_sysctl_psr_cmt_op& arg);
Result<> sysctl_psr_alloc(Caller& caller, xen_sysctl_psr_alloc& arg);

// sysctl_power.cpp
Result<> sysctl_cpu_hotplug(Caller& caller, const xen_sysctl_cpu_hotplug& arg);
Result<> sysctl_get_pmstat(Caller& caller, xen_sysctl_get_pmstat& arg);
Result<> sysctl_pm_op(Caller& caller, xen_sysctl_pm_op& arg);

// sysctl_cpu.cpp
Result<> sysctl_get_cpu_levelling_caps(Caller& caller, Out<xen_sysctl_cpu_levelling_caps>& out);
// A buffer that is too short gets what fits, and ENOBUFS.
Result<> sysctl_get_cpu_featureset(Caller& caller, GuestAddr where);
Result<> sysctl_get_cpu_policy(Caller& caller, GuestAddr where);

}  // namespace domus::hypercall
