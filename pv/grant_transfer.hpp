// SPDX-License-Identifier: GPL-2.0-or-later
// GNTTABOP_transfer: a page changes its owner, into an entry with which the new one has said that it waits.
#pragma once

#include "core/grant_status.hpp"

namespace domus {
struct Domain;
}

namespace domus::pv {

// bad_page: the page is not the giver's, or somebody uses it; then, and only then, it stays the giver's
// (public grant_table.h). bad_domain: no such domain, or at its end. bad_gntref: no entry that waits for a
// page of the giver's. general_error: the receiver may not own more pages. permission_denied: switched off at
// boot.
core::GrantResult<> transfer_page(Domain& giver, const gnttab_transfer_t& op);

}  // namespace domus::pv
