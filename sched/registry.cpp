// SPDX-License-Identifier: GPL-2.0-or-later
// The policies that sched= can name, the default first.
#include "sched/arinc653.hpp"
#include "sched/credit2.hpp"
#include "sched/null.hpp"
#include "sched/policy.hpp"
#include "sched/rtds.hpp"

namespace domus::sched {

namespace {
using Getter = const Policy& (*)();
constexpr Getter kPolicies[] = {credit2, rtds, null, arinc653};
}  // namespace

const Policy* find_policy(std::string_view name) {
    for (Getter get : kPolicies)
        if (get().name == name) return &get();
    return nullptr;
}

const Policy* find_policy(u32 abi_id) {
    for (Getter get : kPolicies)
        if (get().abi_id == abi_id) return &get();
    return nullptr;
}

const Policy& default_policy() { return kPolicies[0](); }

}  // namespace domus::sched
