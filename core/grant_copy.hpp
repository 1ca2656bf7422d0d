// SPDX-License-Identifier: GPL-2.0-or-later
// GNTTABOP_copy: up to a page of bytes from one frame to another, each the caller's own or granted to it.
#pragma once

#include "core/grant_status.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

// Errors: bad_copy_arg: a range crosses a page's end. bad_domain. permission_denied: a frame of another
// domain's, by number. bad_page: a frame that is not RAM of its domain's, or that must not be written.
// general_error: the grant does not allow it. Takes no lock but an entry's for a moment.
GrantResult<> copy_grant(Domain& caller, const gnttab_copy_t& op);

}  // namespace domus::core
