// SPDX-License-Identifier: GPL-2.0-or-later
// The hypervisor's address space. The ABI (public arch-x86/xen-x86_64.h) gives it 0xffff8000'00000000 to
// 0xffff87ff'ffffffff in every 64-bit PV address space: L4 slots 256 to 271, of which the guest sees only the
// machine-to-physical table, read-only.
#pragma once

#include "base/types.hpp"

namespace domus::layout {

inline constexpr u64 kSlotSize = u64{1} << 39;
inline constexpr u64 kFirstSlot = 256, kEndSlot = 272;
inline constexpr u64 slot_base(u64 slot) { return 0xffff000000000000u + slot * kSlotSize; }

inline constexpr u64 kHypervisorStart = slot_base(kFirstSlot);
inline constexpr u64 kHypervisorEnd = slot_base(kEndSlot);

inline constexpr u64 kGuestM2p = slot_base(256);  // u64 per frame; user-readable, 256 GiB by the ABI
inline constexpr u64 kGuestM2pEnd = kGuestM2p + 256 * kGiB;
inline constexpr u64 kDevices = slot_base(257);       // map_device(), uncached
inline constexpr u64 kM2p = slot_base(258);           // the hypervisor's writable view of the same table
inline constexpr u64 kM2p32 = kM2p + 256 * kGiB;      // … of the one that 32-bit guests see: u32 per frame
inline constexpr u64 kFrameTable = slot_base(259);    // struct Frame per frame
inline constexpr u64 kPerCpuArea = slot_base(260);    // stacks, descriptor tables and entry stubs of each CPU
inline constexpr u64 kImage = slot_base(261);         // code, read-only data, data
inline constexpr u64 kDirectMap = slot_base(262);     // machine memory from address 0
inline constexpr u64 kDirectMapEnd = kHypervisorEnd;  // ten slots: 5 TiB

static_assert(kHypervisorStart == 0xffff800000000000u && kHypervisorEnd == 0xffff880000000000u);

// An address a guest may name: canonical and outside the hypervisor's range. The test is one comparison: both
// halves of the canonical space become a contiguous range when the hypervisor's end is subtracted.
constexpr bool guest_may_access(u64 va) { return va < 0x0000800000000000u || va >= kHypervisorEnd; }

}  // namespace domus::layout
