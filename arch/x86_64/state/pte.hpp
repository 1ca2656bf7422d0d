// SPDX-License-Identifier: GPL-2.0-or-later
// Page-table entries of the long-mode format (AMD APM vol. 2, 5.3).
#pragma once

#include "base/types.hpp"

namespace domus {

inline constexpr unsigned kPtesPerTable = 512;

struct Pte {
    u64 v = 0;

    static constexpr u64 kPresent = 1u << 0, kWritable = 1u << 1, kUser = 1u << 2, kWriteThrough = 1u << 3,
                         kCacheDisable = 1u << 4, kAccessed = 1u << 5, kDirty = 1u << 6,
                         kLarge = 1u << 7 /* L2, L3; PAT in an L1 */, kGlobal = 1u << 8, kAvailable = 7u << 9,
                         kNoExecute = u64{1} << 63;
    static constexpr u64 kAddressMask = 0x000ffffffffff000u;
    static constexpr u64 kPatL1 = 1u << 7, kPatLarge = 1u << 12;

    constexpr Pte() = default;
    constexpr explicit Pte(u64 raw) : v(raw) {}
    constexpr Pte(Mfn m, u64 flags) : v((m.v << kPageShift) | flags) {}

    constexpr bool present() const { return (v & kPresent) != 0; }
    constexpr bool writable() const { return (v & kWritable) != 0; }
    constexpr bool user() const { return (v & kUser) != 0; }
    constexpr bool large() const { return (v & kLarge) != 0; }
    constexpr Mfn mfn() const { return Mfn((v & kAddressMask) >> kPageShift); }
    constexpr u64 flags() const { return v & ~kAddressMask; }
    constexpr bool operator==(const Pte&) const = default;
};
static_assert(sizeof(Pte) == 8);

// The index of `va` in a table of the given level (1 = L1 … 4 = L4).
constexpr unsigned table_index(Vaddr va, unsigned level) {
    return static_cast<unsigned>(va.v >> (kPageShift + 9 * (level - 1))) & (kPtesPerTable - 1);
}

}  // namespace domus
