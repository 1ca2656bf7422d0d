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

// ---- domctl_life.cpp: running and not running

Result<> domctl_pausedomain(Caller& caller, Domain& d);
Result<> domctl_unpausedomain(Caller& caller, Domain& d);

// ---- domctl_sched.cpp: where and how much its vCPUs run

Result<> domctl_setvcpuaffinity(Caller& caller, Domain& d, xen_domctl_vcpuaffinity& arg);
Result<> domctl_getvcpuaffinity(Caller& caller, Domain& d, xen_domctl_vcpuaffinity& arg);
Result<> domctl_setnodeaffinity(Caller& caller, Domain& d, const xen_domctl_nodeaffinity& arg);
Result<> domctl_getnodeaffinity(Caller& caller, Domain& d, xen_domctl_nodeaffinity& arg);
Result<> domctl_scheduler_op(Caller& caller, Domain& d, xen_domctl_scheduler_op& arg);

}  // namespace domus::hypercall
