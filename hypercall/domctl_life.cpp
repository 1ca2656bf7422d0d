// SPDX-License-Identifier: GPL-2.0-or-later
// domctl: whether a domain runs, who is told when it stops, and what it is called.
#include <cstring>

#include "core/domain.hpp"
#include "core/vcpu_op.hpp"
#include "core/vcpu_time.hpp"
#include "hypercall/domctl.hpp"

namespace domus::hypercall {

Result<> domctl_pausedomain(Caller& caller, Domain& d) {
    // A domain that pauses itself would never come to unpause itself.
    if (&d == &caller.domain) return fail(Error::inval);
    return core::control_pause(d);
}

Result<> domctl_unpausedomain(Caller& caller, Domain& d) {
    if (&d == &caller.domain) return fail(Error::inval);
    return core::control_unpause(d);
}

Result<> domctl_resumedomain(Caller& caller, Domain& d) {
    if (&d == &caller.domain) return fail(Error::inval);
    if (d.shut_down.load()) core::resume_domain(d);
    return {};
}

Result<> domctl_subscribe(Caller&, Domain& d, const xen_domctl_subscribe& arg) {
    LockGuard guard(d.shutdown_lock);
    d.suspend_port = EvtPort(arg.port);
    return {};
}

Result<> domctl_set_virq_handler(Caller&, Domain& d, const xen_domctl_set_virq_handler& arg) {
    return core::set_virq_handler(d, arg.virq);
}

Result<> domctl_sendtrigger(Caller&, Domain& d, const xen_domctl_sendtrigger& arg) {
    if (d.vcpu(VcpuId(arg.vcpu)) == nullptr) return fail(Error::srch);
    // The others press buttons of emulated machines.
    if (arg.trigger != XEN_DOMCTL_SENDTRIGGER_NMI) return fail(Error::nosys);
    return core::vcpu_send_nmi(d, VcpuId(arg.vcpu));
}

Result<> domctl_setdomainhandle(Caller&, Domain& d, const xen_domctl_setdomainhandle& arg) {
    std::memcpy(d.control.handle, arg.handle, sizeof d.control.handle);
    return {};
}

Result<> domctl_settimeoffset(Caller&, Domain& d, const xen_domctl_settimeoffset& arg) {
    d.time_offset = arg.time_offset_seconds;
    core::publish_wall_clock(d);
    return {};
}

}  // namespace domus::hypercall
