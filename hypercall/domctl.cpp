// SPDX-License-Identifier: GPL-2.0-or-later
// domctl (36): the toolstack's operations on domains: the rows, and what is common to all of them.
#include "hypercall/domctl.hpp"

#include "hypercall/families.hpp"
#include "hypercall/target.hpp"

namespace domus::hypercall {

namespace {

template <auto F>
constexpr DomctlRow row(u32 number, const char* name) {
    return command<F, Domain&>(number, name, Who::control);
}

constexpr DomctlRow kList[] = {
    // domctl_life.cpp
    row<&domctl_pausedomain>(XEN_DOMCTL_pausedomain, "pausedomain"),
    row<&domctl_unpausedomain>(XEN_DOMCTL_unpausedomain, "unpausedomain"),
    // domctl_sched.cpp
    row<&domctl_setvcpuaffinity>(XEN_DOMCTL_setvcpuaffinity, "setvcpuaffinity"),
    row<&domctl_getvcpuaffinity>(XEN_DOMCTL_getvcpuaffinity, "getvcpuaffinity"),
    row<&domctl_setnodeaffinity>(XEN_DOMCTL_setnodeaffinity, "setnodeaffinity"),
    row<&domctl_getnodeaffinity>(XEN_DOMCTL_getnodeaffinity, "getnodeaffinity"),
    row<&domctl_scheduler_op>(XEN_DOMCTL_scheduler_op, "scheduler_op"),
};
constexpr Commands kCommands("domctl", kList);

// Of the domain's own structure first, then of the call's header.
Value call_command(Caller& caller, DomctlHeader& header, GuestAddr structure) {
    if (kCommands.find(header.command) == nullptr) {
        name_missing(caller, "domctl", header.command);
        return fail(Error::nosys);
    }
    Domain* d = TRY(target_domain(caller, header.domain));
    return kCommands.call(caller, header.command, *d, structure);
}

}  // namespace

Preemptible<GuestAddr> domctl(Caller& caller, GuestAddr op) {
    DomctlHeader header = TRY(op.in<DomctlHeader>().read());
    if (header.version != XEN_DOMCTL_INTERFACE_VERSION) return fail(Error::access);
    const Value done = call_command(caller, header, op.offset(sizeof header));
    if (!done && done.error() == Error::restart) return again(op);
    return done;
}

}  // namespace domus::hypercall
