// SPDX-License-Identifier: GPL-2.0-or-later
// Copying sets in and out, cut or filled up to the length that the caller named.
#include "hypercall/bitmap.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace domus::hypercall {

namespace {

constexpr u32 bytes_for(u64 bits) { return static_cast<u32>((bits + 7) / 8); }
// A byte of the map whose first `bits` bits count from `byte` on.
constexpr u8 mask_at(u32 byte, u64 bits) {
    const u64 left = bits - u64{byte} * 8;
    return left >= 8 ? u8{0xff} : static_cast<u8>((1u << left) - 1);
}

}  // namespace

Result<> read_bitmap(const xenctl_bitmap& from, std::span<u64> words) {
    std::ranges::fill(words, 0);
    const u64 bits = std::min<u64>(from.nr_bits, words.size() * 64);
    const GuestIn<u8> bytes = address_of(from.bitmap).in<u8>();
    for (u32 i = 0; i < bytes_for(bits); i++) {
        const u8 byte = TRY(bytes.read(i));
        words[i / 8] |= u64{static_cast<u8>(byte & mask_at(i, bits))} << (i % 8 * 8);
    }
    return {};
}

Result<> write_bitmap(const xenctl_bitmap& to, std::span<const u64> words, u32 count) {
    ASSERT(words.size() * 64 >= count);
    // Nobody has so many numbers; a caller's count must not keep us busy.
    constexpr u32 kMostBytes = 4096;
    const u32 room = std::min(bytes_for(to.nr_bits), kMostBytes);
    // Whole bytes: what lies above nr_bits in the last one is room as well.
    const u64 bits = std::min<u64>(count, u64{room} * 8);
    const GuestOut<u8> bytes = address_of(to.bitmap).out<u8>();
    for (u32 i = 0; i < room; i++) {
        u8 byte = 0;
        if (i < bytes_for(bits)) byte = static_cast<u8>(words[i / 8] >> (i % 8 * 8)) & mask_at(i, bits);
        TRY(bytes.write(byte, i));
    }
    return {};
}

}  // namespace domus::hypercall
