// SPDX-License-Identifier: GPL-2.0-or-later
// Naming, once each, what guests ask for and Domus does not have or does not allow them.
#pragma once

#include "base/types.hpp"
#include "hypercall/caller.hpp"

namespace domus::hypercall {

// Logs "dN: CALL SUB is not implemented" the first time that the pair (call, sub) comes up. `sub` is the
// operation's number within the family, kNoSub if the family has none.
inline constexpr u64 kNoSub = ~u64{0};
void name_missing(const Caller& caller, const char* call, u64 sub = kNoSub);
// … "may not use".
void name_forbidden(const Caller& caller, const char* call, const char* operation);

// Forgets what has been named (tests).
void forget_named();

}  // namespace domus::hypercall
