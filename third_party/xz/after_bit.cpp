// SPDX-License-Identifier: GPL-2.0-or-later
// How LZMA's range decoder adapts a probability (of a 0, in 1/2048) to the bit it was used for, as a table:
// one load instead of three or four instructions, 75 million times in Debian's kernel.
#include <cstddef>
#include <cstdint>

namespace {

constexpr std::size_t kTotal = 2048;  // 1.0; RC_BIT_MODEL_TOTAL
constexpr int kMoveBits = 5;

struct Table {
    std::uint16_t after[2][kTotal];
};

constexpr Table make_table() {
    Table table{};
    for (std::size_t p = 0; p < kTotal; ++p) {
        table.after[0][p] = static_cast<std::uint16_t>(p + ((kTotal - p) >> kMoveBits));
        table.after[1][p] = static_cast<std::uint16_t>(p - (p >> kMoveBits));
    }
    return table;
}

}  // namespace

extern "C" const Table domus_after_bit;
constinit const Table domus_after_bit = make_table();
