// SPDX-License-Identifier: GPL-2.0-or-later
// Segment selectors and descriptors that a 64-bit PV guest may use. The guest's kernel and its programs both
// run in ring 3 (AMD APM vol. 2, ch. 4, has the formats).
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

// The descriptor as it may stand in a guest's table, DPL raised to 3 where needed; nullopt if it may not
// stand there at all. Not present and all-zero descriptors, code and data segments pass; so does system type
// 0, which no load accepts. Gates and every other system type are refused.
std::optional<u64> check_descriptor(u64 descriptor);

}  // namespace domus::pv
