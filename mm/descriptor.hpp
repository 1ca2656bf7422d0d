// SPDX-License-Identifier: GPL-2.0-or-later
// Which segment descriptors a 64-bit PV guest may have (AMD APM vol. 2, 4.7 and 4.8).
#pragma once

#include <optional>

#include "base/types.hpp"

namespace domus {

// The descriptor as the CPU will see it, or nothing if it is not allowed. A descriptor that is not present
// faults at any use. Code and data segments get DPL 3: guest kernels run in ring 3 but write DPL 0 out of
// habit. No load accepts system type 0; all other system types (task states, local tables, gates) lead to the
// hypervisor's privilege or state.
constexpr std::optional<u64> pv_descriptor(u64 raw) {
    constexpr u64 kPresent = u64{1} << 47, kCodeOrData = u64{1} << 44, kDpl3 = u64{3} << 45,
                  kType = u64{0xf} << 40;
    if ((raw & kPresent) == 0) return raw;
    if ((raw & kCodeOrData) != 0) return raw | kDpl3;
    return (raw & kType) == 0 ? std::optional(raw) : std::nullopt;
}

}  // namespace domus
