// SPDX-License-Identifier: GPL-2.0-or-later
// The search in the embedded symbol table.
#include "arch/symbols.hpp"

#include "arch_state/layout.hpp"

// Sorted offsets from the image's start, one per symbol, and the offset of each one's name in the pool. Weak:
// the first link has none.
extern "C" {
extern const domus::u32 symbol_count;
extern const domus::u32 symbol_offsets[];
extern const domus::u32 symbol_names[];
extern const char symbol_pool[];
extern const char image_text_end[];
}

namespace domus::x86 {

Symbol find_symbol(u64 address) {
    if (address < layout::kImage || address >= reinterpret_cast<u64>(image_text_end)) return {};
    const u32 offset = static_cast<u32>(address - layout::kImage);
    u32 lo = 0, hi = symbol_count;
    while (lo < hi) {
        const u32 mid = (lo + hi) / 2;
        if (symbol_offsets[mid] <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0) return {};
    const char* name = symbol_pool + symbol_names[lo - 1];
    return {std::string_view(name, __builtin_strlen(name)), offset - symbol_offsets[lo - 1]};
}

}  // namespace domus::x86
