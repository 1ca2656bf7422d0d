// SPDX-License-Identifier: GPL-2.0-or-later
// The 80 by 25 text screen of a VGA adapter (colour text buffer at 0xb8000).
#pragma once

#include <string_view>

#include "base/types.hpp"

namespace domus {

inline constexpr u64 kVgaTextAddress = 0xb8000;

class VgaText {
  public:
    static constexpr u32 kColumns = 80, kRows = 25;

    // `cells`: the mapped text buffer, kColumns * kRows cells of a character and an attribute. Clears the
    // screen.
    void init(volatile u16* cells);
    void write(std::string_view text);

  private:
    void put(char c);
    void new_line();
    void show_cursor() const;

    volatile u16* cells_ = nullptr;
    u32 column_ = 0, row_ = 0;
};

}  // namespace domus
