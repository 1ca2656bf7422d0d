// SPDX-License-Identifier: GPL-2.0-or-later
// The embedded symbol table (made by tools/make-symbols from the first link of the image).
#pragma once

#include <string_view>

#include "base/types.hpp"

namespace domus::x86 {

struct Symbol {
    std::string_view name;  // empty: unknown
    u64 offset = 0;         // of the address from the symbol's start
};
// The function that contains a code address.
Symbol find_symbol(u64 address);

}  // namespace domus::x86
