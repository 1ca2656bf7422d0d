// SPDX-License-Identifier: GPL-2.0-or-later
// Reading the BIOS data area.
#include "boot/bios_video.hpp"

namespace domus {

VideoMode bios_text_mode(std::span<const u8, 256> data) {
    constexpr u8 kMode = 0x49, kColumns = 0x4a, kCursor = 0x50, kLastRow = 0x84, kFontHeight = 0x85;
    const auto word = [&data](u8 at) { return static_cast<u16>(data[at] | data[at + 1] << 8); };
    VideoMode v;
    const u8 mode = data[kMode];
    const u16 columns = word(kColumns), font = word(kFontHeight);
    const u32 rows = data[kLastRow] + 1u;  // 0 in the data area of an adapter before EGA
    // Colour text modes 2 and 3; their memory is at 0xb8000.
    if ((mode != 2 && mode != 3) || columns != 80 || rows < 25 || rows > 60 || font < 8 || font > 32)
        return v;
    v.kind = VideoMode::Kind::text;
    v.address = 0xb8000;
    v.pitch = columns * 2;
    v.width = columns;
    v.height = rows;
    v.bits_per_pixel = 16;
    v.font_height = font;
    v.cursor_x = data[kCursor] < columns ? data[kCursor] : 0;
    v.cursor_y = data[kCursor + 1] < rows ? data[kCursor + 1] : 0;
    return v;
}

}  // namespace domus
