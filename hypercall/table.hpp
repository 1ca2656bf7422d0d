// SPDX-License-Identifier: GPL-2.0-or-later
// The table of hypercalls: one row each, for a layout.
#pragma once

#include "hypercall/dispatch.hpp"
#include "hypercall/families.hpp"
#include "hypercall/thunk.hpp"

namespace domus::hypercall {

template <class L>
inline constexpr Row kRows[] = {
    row<L, &multicall>(__HYPERVISOR_multicall, "multicall"),
    row<L, &xen_version>(__HYPERVISOR_xen_version, "xen_version"),
};

}  // namespace domus::hypercall
