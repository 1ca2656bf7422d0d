// SPDX-License-Identifier: GPL-2.0-or-later
// Bit searches over words.
#pragma once

#include <bit>
#include <span>

#include "base/types.hpp"

namespace domus {

inline constexpr usize kNoBit = ~usize{0};

constexpr bool test_bit(std::span<const u64> words, usize i) {
    return ((words[i / 64] >> (i % 64)) & 1) != 0;
}
constexpr void set_bit(std::span<u64> words, usize i) { words[i / 64] |= u64{1} << (i % 64); }
constexpr void clear_bit(std::span<u64> words, usize i) { words[i / 64] &= ~(u64{1} << (i % 64)); }

// The first set bit at or after `from`, or kNoBit.
constexpr usize find_set(std::span<const u64> words, usize from = 0) {
    for (usize w = from / 64; w < words.size(); w++) {
        u64 v = words[w];
        if (w == from / 64) v &= ~u64{0} << (from % 64);
        if (v != 0) return w * 64 + static_cast<usize>(std::countr_zero(v));
    }
    return kNoBit;
}

}  // namespace domus
