// SPDX-License-Identifier: GPL-2.0-or-later
// Which segment descriptors a 64-bit PV guest may have (AMD APM vol. 2, 4.7 and 4.8).
#pragma once

#include <optional>

#include "base/types.hpp"

namespace domus {

// The descriptor as the CPU will see it, or nothing if it is not allowed. Code and data segments run at ring
// 3, where guest kernels live, and are marked accessed because the CPU cannot write to the read-only table.
// Gates, task and LDT segments are the hypervisor's business.
constexpr std::optional<u64> pv_descriptor(u64 raw) {
    constexpr u64 kPresent = u64{1} << 47, kCodeOrData = u64{1} << 44, kDpl3 = u64{3} << 45,
                  kAccessed = u64{1} << 40;
    if ((raw & kPresent) == 0) return raw;
    if ((raw & kCodeOrData) == 0) return std::nullopt;
    return raw | kDpl3 | kAccessed;
}

}  // namespace domus
