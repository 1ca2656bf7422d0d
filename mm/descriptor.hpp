// SPDX-License-Identifier: GPL-2.0-or-later
// Which segment descriptors a PV guest may have (AMD APM vol. 2, 4.7 and 4.8).
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

// … of a 32-bit guest, whose kernel's ring 1 is supervisor to the page tables: what keeps it out of the
// hypervisor's memory is that its segments end at 4 GiB. So no 64-bit code segment (L, AMD APM vol.
// 2, 4.8.1), which knows no end.
constexpr std::optional<u64> pv_descriptor32(u64 raw) {
    constexpr u64 kPresent = u64{1} << 47, kCodeOrData = u64{1} << 44, kCode = u64{1} << 43,
                  kLong = u64{1} << 53, kDpl = u64{3} << 45, kDpl1 = u64{1} << 45, kType = u64{0xf} << 40;
    if ((raw & kPresent) == 0) return raw;
    if ((raw & kCodeOrData) == 0) return (raw & kType) == 0 ? std::optional(raw) : std::nullopt;
    if ((raw & (kCode | kLong)) == (kCode | kLong)) return std::nullopt;
    return (raw & kDpl) == 0 ? raw | kDpl1 : raw;
}

}  // namespace domus
