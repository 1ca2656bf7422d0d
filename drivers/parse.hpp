// SPDX-License-Identifier: GPL-2.0-or-later
// Small parsers for the values of command-line options.
#pragma once

#include <optional>
#include <string_view>

#include "base/types.hpp"

namespace domus {

// The whole of `s` as a number, decimal or 0x hexadecimal, at most `max`.
constexpr std::optional<u64> parse_number(std::string_view s, u64 max = ~u64{0}) {
    unsigned base = 10;
    if (s.size() > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s.remove_prefix(2);
    }
    if (s.empty()) return std::nullopt;
    u64 v = 0;
    for (char c : s) {
        unsigned d;
        if (c >= '0' && c <= '9')
            d = static_cast<unsigned>(c - '0');
        else if (base == 16 && c >= 'a' && c <= 'f')
            d = static_cast<unsigned>(c - 'a') + 10;
        else if (base == 16 && c >= 'A' && c <= 'F')
            d = static_cast<unsigned>(c - 'A') + 10;
        else
            return std::nullopt;
        if (d > max || v > (max - d) / base) return std::nullopt;
        v = v * base + d;
    }
    return v;
}

// Cuts and returns the part of `s` before the first `separator` (all of it if there is none).
constexpr std::string_view cut(std::string_view& s, char separator) {
    const usize at = s.find(separator);
    const std::string_view head = s.substr(0, at);
    s = at == std::string_view::npos ? std::string_view{} : s.substr(at + 1);
    return head;
}

}  // namespace domus
