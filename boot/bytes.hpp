// SPDX-License-Identifier: GPL-2.0-or-later
// Reading structures out of untrusted bytes.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "base/types.hpp"

namespace domus {

// The part [at, at + size) of `bytes`. False if it is not all there.
constexpr bool part_of(std::span<const std::byte> bytes, u64 at, u64 size, std::span<const std::byte>& part) {
    if (at > bytes.size() || size > bytes.size() - at) return false;
    part = bytes.subspan(at, size);
    return true;
}

// Copies a T from any offset. False if it is not all there.
template <class T>
    requires std::is_trivially_copyable_v<T>
bool read_at(std::span<const std::byte> bytes, u64 at, T& value) {
    std::span<const std::byte> part;
    if (!part_of(bytes, at, sizeof(T), part)) return false;
    __builtin_memcpy(&value, part.data(), sizeof(T));
    return true;
}

}  // namespace domus
