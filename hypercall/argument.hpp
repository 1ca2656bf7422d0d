// SPDX-License-Identifier: GPL-2.0-or-later
// The types that may stand in a hypercall's signature, and their passage from and to argument words.
#pragma once

#include <concepts>
#include <type_traits>

#include "base/types.hpp"
#include "hypercall/layout.hpp"
#include "port/guest_ptr.hpp"

namespace domus::hypercall {

// A guest pointer whose pointee depends on another argument.
class GuestAddr {
  public:
    constexpr GuestAddr() = default;
    constexpr explicit GuestAddr(u64 address) : address_(address) {}
    constexpr u64 raw() const { return address_; }
    constexpr bool null() const { return address_ == 0; }
    template <class T>
    GuestIn<T> in() const {
        return GuestIn<T>(address_);
    }
    template <class T>
    GuestOut<T> out() const {
        return GuestOut<T>(address_);
    }
    template <class T>
    GuestInOut<T> in_out() const {
        return GuestInOut<T>(address_);
    }
    GuestAddr offset(u64 bytes) const { return GuestAddr(address_ + bytes); }
    constexpr bool operator==(const GuestAddr&) const = default;

  private:
    u64 address_ = 0;
};

// A guest's `unsigned long`: as wide as the guest.
using GuestLong = Strong<struct GuestLongTag, u64>;

// Argument<Layout, T>: kWords, decode(words) and encode(value, words). One partial specialisation a kind.
template <class L, class T>
struct Argument;

// Integers of up to 32 bits: the upper half of a register is ignored, as C's `int` parameters were.
template <class L, class T>
    requires(std::integral<T> && sizeof(T) <= 4 && !std::same_as<T, bool>)
struct Argument<L, T> {
    static constexpr unsigned kWords = 1;
    static T decode(const u64* w) { return static_cast<T>(w[0]); }
    static void encode(T value, u64* w) { w[0] = static_cast<u32>(value); }
};

template <class L>
struct Argument<L, u64> {
    static constexpr unsigned kWords = L::kWordsOfU64;
    static u64 decode(const u64* w) {
        if constexpr (kWords == 1) return w[0];
        return static_cast<u32>(w[0]) | w[1] << 32;
    }
    static void encode(u64 value, u64* w) {
        if constexpr (kWords == 1) {
            w[0] = value;
        } else {
            w[0] = static_cast<u32>(value), w[1] = value >> 32;
        }
    }
};

template <class L>
struct Argument<L, s64> {
    static constexpr unsigned kWords = L::kWordsOfU64;
    static s64 decode(const u64* w) { return static_cast<s64>(Argument<L, u64>::decode(w)); }
    static void encode(s64 value, u64* w) { Argument<L, u64>::encode(static_cast<u64>(value), w); }
};

// Pointers, addresses and longs: one word of the guest's width.
template <class L, class T>
    requires requires(const T& t) {
        { t.raw() } -> std::convertible_to<u64>;
        T(u64{});
    } && (sizeof(T) == 8)
struct Argument<L, T> {
    static constexpr unsigned kWords = 1;
    static T decode(const u64* w) { return T(static_cast<typename L::Long>(w[0])); }
    static void encode(const T& value, u64* w) { w[0] = static_cast<typename L::Long>(value.raw()); }
};

template <class L, class Tag, class Rep>
    requires(sizeof(Rep) <= 4)
struct Argument<L, Strong<Tag, Rep>> {
    static constexpr unsigned kWords = 1;
    static Strong<Tag, Rep> decode(const u64* w) { return Strong<Tag, Rep>(static_cast<Rep>(w[0])); }
    static void encode(Strong<Tag, Rep> value, u64* w) { w[0] = value.raw(); }
};

}  // namespace domus::hypercall
