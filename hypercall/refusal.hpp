// SPDX-License-Identifier: GPL-2.0-or-later
// Saying in the log, once for each domain and thing, what hypercalls ask for and Domus does not have, or does
// not do. A domain's lines are limited in number (core/told_set.hpp).
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"
#include "hypercall/caller.hpp"

namespace domus::hypercall {

// "CALL SUB is not implemented". `sub` is the operation's number within the family, kNoSub if the family has
// none.
inline constexpr u64 kNoSub = ~u64{0};
void name_missing(const Caller& caller, const char* call, u64 sub = kNoSub);
// … "is not allowed to this domain".
void name_forbidden(const Caller& caller, const char* call, const char* operation);
// … "refused", with the rule that the error stands for and what would help: for operations of control
// software whose function has not said it better. `target`: the domain that it is about, if it is about one.
// Nothing for errors that are ordinary answers, such as "there is none".
void name_refused(const Caller& caller, const char* call, const char* operation, const Domain* target,
                  Error error);

}  // namespace domus::hypercall
