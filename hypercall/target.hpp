// SPDX-License-Identifier: GPL-2.0-or-later
// Domains and vCPUs that a caller names.
#pragma once

#include "base/result.hpp"
#include "core/domain_list.hpp"
#include "hypercall/caller.hpp"

namespace domus::hypercall {

// The domain that the caller means: itself by DOMID_SELF or its own id; another only if it is the control
// domain. EPERM, ESRCH: no such domain.
inline Result<Domain*> target_domain(Caller& caller, u16 id) {
    if (id == DOMID_SELF || id == caller.domain.id.v) return &caller.domain;
    if (!caller.domain.privileged) return fail(Error::perm);
    Domain* d = core::find_domain(DomId(id));
    if (d == nullptr) return fail(Error::srch);
    return d;
}

// The id behind DOMID_SELF.
inline DomId resolve_id(const Caller& caller, u16 id) {
    return id == DOMID_SELF ? caller.domain.id : DomId(id);
}

}  // namespace domus::hypercall
