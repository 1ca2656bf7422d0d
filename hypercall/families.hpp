// SPDX-License-Identifier: GPL-2.0-or-later
// The hypercalls' entry functions, one a family; each is defined in the family's file.
#pragma once

#include "hypercall/argument.hpp"
#include "hypercall/caller.hpp"
#include "hypercall/outcome.hpp"

namespace domus::hypercall {

Result<s64> xen_version(Caller& caller, u32 command, GuestAddr arg);

}  // namespace domus::hypercall
