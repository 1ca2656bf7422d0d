// SPDX-License-Identifier: GPL-2.0-or-later
// domctl: whether a domain runs.
#include "core/domain.hpp"
#include "hypercall/domctl.hpp"

namespace domus::hypercall {

Result<> domctl_pausedomain(Caller& caller, Domain& d) {
    // A domain that pauses itself would never come to unpause itself.
    if (&d == &caller.domain) return fail(Error::inval);
    core::pause_domain_sync(d);
    return {};
}

Result<> domctl_unpausedomain(Caller& caller, Domain& d) {
    if (&d == &caller.domain) return fail(Error::inval);
    core::unpause_domain(d);
    return {};
}

}  // namespace domus::hypercall
