// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses that a guest hands over for the CPU to use.
#pragma once

#include "arch_state/layout.hpp"
#include "base/types.hpp"

namespace domus::pv {

// 48-bit virtual addresses: bits 63 to 47 are equal.
constexpr bool canonical(u64 va) { return static_cast<u64>(static_cast<s64>(va << 16) >> 16) == va; }

// Canonical and not the hypervisor's own.
constexpr bool guest_address(u64 va) { return canonical(va) && layout::guest_may_access(va); }

}  // namespace domus::pv
