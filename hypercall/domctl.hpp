// SPDX-License-Identifier: GPL-2.0-or-later
// domctl's commands (public domctl.h), one function each; hypercall/domctl.cpp has their rows, domctl_*.cpp
// their bodies by subject. hypercall/command.hpp says how a structure crosses.
//
// A long command keeps its progress in the domain, or writes it into its structure (as GuestAddr), and
// returns RESTART: the whole call is then made anew with the same pointer.
#pragma once

#include "abi/xen.hpp"
#include "hypercall/argument.hpp"
#include "hypercall/caller.hpp"
#include "hypercall/command.hpp"

namespace domus::hypercall {

// What precedes the command's structure. What a command changes here goes back to the caller on success.
struct DomctlHeader {
    u32 command = 0, version = 0;
    u16 domain = 0, pad[3] = {};
};
static_assert(offsetof(xen_domctl_t, u) == sizeof(DomctlHeader));

// Commands on the domain that the header names, as the caller may name one: for these rows, ESRCH without it.
using DomctlRow = Command<Domain&>;
// Commands that choose, or make, their domain themselves.
using DomctlOpenRow = Command<DomctlHeader&>;

// ---- domctl_create.cpp: making a domain and taking it apart

Result<> domctl_createdomain(Caller& caller, DomctlHeader& header, const xen_domctl_createdomain& arg);
Result<> domctl_max_vcpus(Caller& caller, Domain& d, const xen_domctl_max_vcpus& arg);
Result<> domctl_max_mem(Caller& caller, Domain& d, const xen_domctl_max_mem& arg);
Result<> domctl_destroydomain(Caller& caller, Domain& d);
Result<> domctl_hypercall_init(Caller& caller, Domain& d, const xen_domctl_hypercall_init& arg);

// ---- domctl_life.cpp: running and not running

Result<> domctl_pausedomain(Caller& caller, Domain& d);
Result<> domctl_unpausedomain(Caller& caller, Domain& d);
Result<> domctl_resumedomain(Caller& caller, Domain& d);
Result<> domctl_subscribe(Caller& caller, Domain& d, const xen_domctl_subscribe& arg);
Result<> domctl_set_virq_handler(Caller& caller, Domain& d, const xen_domctl_set_virq_handler& arg);
Result<> domctl_sendtrigger(Caller& caller, Domain& d, const xen_domctl_sendtrigger& arg);
Result<> domctl_setdomainhandle(Caller& caller, Domain& d, const xen_domctl_setdomainhandle& arg);
Result<> domctl_settimeoffset(Caller& caller, Domain& d, const xen_domctl_settimeoffset& arg);

// ---- domctl_info.cpp: what there is

// Answers for the first domain whose id is not below the header's. ESRCH: there is none.
Result<> domctl_getdomaininfo(Caller& caller, DomctlHeader& header, Out<xen_domctl_getdomaininfo>& out);
Result<> domctl_getvcpuinfo(Caller& caller, Domain& d, xen_domctl_getvcpuinfo& arg);
Result<> domctl_getpageframeinfo3(Caller& caller, Domain& d, GuestAddr where);

// ---- domctl_context.cpp: the state of a vCPU

Result<> domctl_setvcpucontext(Caller& caller, Domain& d, const xen_domctl_vcpucontext& arg);
Result<> domctl_getvcpucontext(Caller& caller, Domain& d, const xen_domctl_vcpucontext& arg);
Result<> domctl_get_ext_vcpucontext(Caller& caller, Domain& d, xen_domctl_ext_vcpucontext& arg);
Result<> domctl_set_ext_vcpucontext(Caller& caller, Domain& d, const xen_domctl_ext_vcpucontext& arg);

// ---- domctl_vector.cpp

Result<> domctl_getvcpuextstate(Caller& caller, Domain& d, xen_domctl_vcpuextstate& arg);
Result<> domctl_setvcpuextstate(Caller& caller, Domain& d, const xen_domctl_vcpuextstate& arg);

// ---- domctl_shadow.cpp

Result<> domctl_shadow_op(Caller& caller, Domain& d, GuestAddr where);

// ---- domctl_debug.cpp

Result<> domctl_setdebugging(Caller& caller, Domain& d, const xen_domctl_setdebugging& arg);
Result<> domctl_gdbsx_guestmemio(Caller& caller, Domain& d, GuestAddr where);
Result<> domctl_gdbsx_pausevcpu(Caller& caller, Domain& d, const xen_domctl_gdbsx_pauseunp_vcpu& arg);
Result<> domctl_gdbsx_unpausevcpu(Caller& caller, Domain& d, const xen_domctl_gdbsx_pauseunp_vcpu& arg);
Result<> domctl_gdbsx_domstatus(Caller& caller, Domain& d, Out<xen_domctl_gdbsx_domstatus>& out);

// ---- domctl_devices.cpp: what hardware a domain may reach

Result<> domctl_iomem_permission(Caller& caller, Domain& d, const xen_domctl_iomem_permission& arg);
Result<> domctl_ioport_permission(Caller& caller, Domain& d, const xen_domctl_ioport_permission& arg);
Result<> domctl_irq_permission(Caller& caller, Domain& d, const xen_domctl_irq_permission& arg);
Result<> domctl_memory_mapping(Caller& caller, Domain& d, const xen_domctl_memory_mapping& arg);
Result<> domctl_bind_pt_irq(Caller& caller, Domain& d);
Result<> domctl_no_iommu(Caller& caller, DomctlHeader& header);

// A device model domain for another: only domains with emulated devices have one. EOPNOTSUPP for any other.
Result<> domctl_set_target(Caller& caller, Domain& d, const xen_domctl_set_target& arg);

// ---- psr.cpp: its share of caches and memory bandwidth. ENODEV

Result<> domctl_psr_cmt_op(Caller& caller, Domain& d, xen_domctl_psr_cmt_op& arg);
Result<> domctl_psr_alloc(Caller& caller, Domain& d, xen_domctl_psr_alloc& arg);

// ---- vnuma.cpp: the nodes that it believes to have

// EINVAL: too many nodes or ranges of memory, not as many vCPUs as the domain has, or something lies nowhere.
Result<> domctl_setvnumainfo(Caller& caller, Domain& d, const xen_domctl_vnuma& arg);

// ---- domctl_sched.cpp: where and how much its vCPUs run

Result<> domctl_setvcpuaffinity(Caller& caller, Domain& d, xen_domctl_vcpuaffinity& arg);
Result<> domctl_getvcpuaffinity(Caller& caller, Domain& d, xen_domctl_vcpuaffinity& arg);
Result<> domctl_setnodeaffinity(Caller& caller, Domain& d, const xen_domctl_nodeaffinity& arg);
Result<> domctl_getnodeaffinity(Caller& caller, Domain& d, xen_domctl_nodeaffinity& arg);
Result<> domctl_scheduler_op(Caller& caller, Domain& d, xen_domctl_scheduler_op& arg);

// ---- domctl_cpu.cpp: what it sees of its processors. EINVAL for the caller's own domain, but for getting
// its policy and width

Result<> domctl_get_cpu_policy(Caller& caller, Domain& d, xen_domctl_cpu_policy_t& arg);
// EEXIST: the domain has run. E2BIG, ERANGE, EINVAL, EOVERFLOW: the policy; err_* say where.
Result<> domctl_set_cpu_policy(Caller& caller, Domain& d, GuestAddr where);
Result<> domctl_gettscinfo(Caller& caller, Domain& d, Out<xen_domctl_tsc_info>& out);
Result<> domctl_settscinfo(Caller& caller, Domain& d, const xen_domctl_tsc_info& arg);
Result<> domctl_get_address_size(Caller& caller, Domain& d, Out<xen_domctl_address_size>& out);
Result<> domctl_set_address_size(Caller& caller, Domain& d, const xen_domctl_address_size& arg);
Result<> domctl_get_vcpu_msrs(Caller& caller, Domain& d, GuestAddr where);
Result<> domctl_set_vcpu_msrs(Caller& caller, Domain& d, GuestAddr where);

}  // namespace domus::hypercall
