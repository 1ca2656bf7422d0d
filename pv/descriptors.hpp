// SPDX-License-Identifier: GPL-2.0-or-later
// Segment selectors and descriptors that a PV guest may use. A 64-bit guest's kernel and its programs both
// run in ring 3, a 32-bit guest's kernel in ring 1 (AMD APM vol. 2, ch. 4, has the formats).
#pragma once

#include <optional>

#include "base/types.hpp"

namespace domus::pv {

// Descriptor table slots a guest owns: the first 14 pages; what follows is the hypervisor's (public
// arch-x86/xen.h, FIRST_RESERVED_GDT_ENTRY).
inline constexpr u32 kGuestGdtPages = 14, kDescriptorsPerPage = 512;
inline constexpr u32 kGuestGdtEntries = kGuestGdtPages * kDescriptorsPerPage;
inline constexpr u32 kMaxLdtEntries = 8192;

// A selector with its requested privilege level raised to 3; guests written for ring 0 or 1 pass lower ones.
constexpr u16 ring3_selector(u16 selector) { return static_cast<u16>(selector | 3); }

// … as a guest of the width may use it: a 32-bit one's kernel is at home in ring 1.
constexpr u16 guest_selector(bool is_32bit, u16 selector) {
    if (!is_32bit) return ring3_selector(selector);
    return (selector & 3) == 0 ? static_cast<u16>(selector | 1) : selector;
}

// The descriptor as it may stand in a guest's table, DPL raised to 3 (32-bit guests: from 0 to 1) where
// needed; nullopt if it may not stand there at all. Not present and all-zero descriptors, code and data
// segments pass; so does system type 0, which no load accepts. Gates and every other system type are refused,
// and 64-bit code segments to a 32-bit guest.
std::optional<u64> check_descriptor(bool is_32bit, u64 descriptor);

}  // namespace domus::pv
