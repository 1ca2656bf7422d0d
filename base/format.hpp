// SPDX-License-Identifier: GPL-2.0-or-later
// Formatted text in a bounded buffer: a small, allocation-free subset of std::format.
//
//   {}  the argument     {:x} hexadecimal     {:#x} with 0x     {:08x} zero-padded width     {:8} {:<8}
//   right/left aligned width
//
// Arguments: integers, bool, char, strings (const char*, std::string_view), pointers, strong integers (Mfn in
// hex, the rest in decimal), Error. The number of placeholders is checked against the number of arguments at
// compile time.
#pragma once

#include <span>
#include <string_view>
#include <type_traits>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {

struct FormatArg {
    enum class Kind : u8 { unsigned_int, signed_int, text, character, boolean, pointer } kind;
    bool hex_by_default = false;
    u64 number = 0;
    std::string_view text{};
};

std::string_view error_name(Error e);

namespace detail {

template <class T>
inline constexpr bool is_strong = false;
template <class Tag, class Rep>
inline constexpr bool is_strong<Strong<Tag, Rep>> = true;

template <class T>
constexpr FormatArg to_arg(const T& value) {
    using K = FormatArg::Kind;
    using D = std::decay_t<T>;
    if constexpr (is_strong<D>) {
        constexpr bool address = std::is_same_v<D, Mfn> || std::is_same_v<D, Gfn> ||
                                 std::is_same_v<D, Maddr> || std::is_same_v<D, Vaddr>;
        return {K::unsigned_int, address, static_cast<u64>(value.v), {}};
    } else if constexpr (std::is_same_v<D, Error>) {
        return {K::text, false, 0, error_name(value)};
    } else if constexpr (std::is_same_v<D, bool>) {
        return {K::boolean, false, value, {}};
    } else if constexpr (std::is_same_v<D, char>) {
        return {K::character, false, static_cast<u8>(value), {}};
    } else if constexpr (std::is_enum_v<D>) {
        return {K::unsigned_int, false, static_cast<u64>(value), {}};
    } else if constexpr (std::is_integral_v<D>) {
        return {std::is_signed_v<D> ? K::signed_int : K::unsigned_int, false, static_cast<u64>(value), {}};
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
        return {K::text, false, 0, std::string_view(value)};
    } else {
        static_assert(std::is_pointer_v<D>, "no way to print this type");
        return {K::pointer, true, reinterpret_cast<u64>(value), {}};
    }
}

inline void unterminated_placeholder() {
}  // not constexpr: calling it in a constant expression stops the compilation

consteval usize count_placeholders(std::string_view s) {
    usize n = 0;
    for (usize i = 0; i < s.size(); i++) {
        if (s[i] == '{') {
            if (i + 1 < s.size() && s[i + 1] == '{') {
                i++;
                continue;
            }
            while (i < s.size() && s[i] != '}') i++;
            if (i == s.size()) unterminated_placeholder();
            n++;
        }
    }
    return n;
}

// Returns the number of characters written, without the terminating NUL that is always there. Text that does
// not fit is cut.
usize vformat(std::span<char> out, std::string_view fmt, std::span<const FormatArg> args);

}  // namespace detail

template <class... Args>
struct BasicFormatString {
    std::string_view text;
    template <class S>
    consteval BasicFormatString(const S& s)
        : text(s) {  // NOLINT(google-explicit-constructor): implicit as in std::format
        if (detail::count_placeholders(text) != sizeof...(Args)) bad_argument_count();
    }

  private:
    static void bad_argument_count() {}  // not constexpr: calling it above stops the compilation
};
template <class... Args>
using FormatString = BasicFormatString<std::type_identity_t<Args>...>;

// Formats into `out` (size at least 1), always terminated; returns the length.
template <class... Args>
usize format_to(std::span<char> out, FormatString<Args...> fmt, const Args&... args) {
    const FormatArg list[sizeof...(Args) + 1] = {detail::to_arg(args)...,
                                                 {FormatArg::Kind::boolean, false, 0, {}}};
    return detail::vformat(out, fmt.text, std::span(list, sizeof...(Args)));
}

}  // namespace domus
