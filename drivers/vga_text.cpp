// SPDX-License-Identifier: GPL-2.0-or-later
// The VGA text screen.
#include "drivers/vga_text.hpp"

#include "port/io.hpp"

namespace domus {

namespace {
constexpr u16 kBlank = 0x0720;  // grey on black
constexpr u16 kAttribute = 0x0700;
// CRT controller of the colour modes: index and data ports, cursor location registers (IBM VGA, CRTC 0Eh,
// 0Fh).
constexpr u16 kCrtcIndex = 0x3d4, kCrtcData = 0x3d5;
}  // namespace

void VgaText::init(volatile u16* cells) {
    cells_ = cells;
    column_ = row_ = 0;
    for (u32 i = 0; i < kColumns * kRows; i++) port::mmio_write<u16>(&cells_[i], kBlank);
    show_cursor();
}

void VgaText::new_line() {
    column_ = 0;
    if (++row_ < kRows) return;
    row_ = kRows - 1;
    for (u32 i = 0; i < kColumns * (kRows - 1); i++)
        port::mmio_write<u16>(&cells_[i], port::mmio_read<u16>(&cells_[i + kColumns]));
    for (u32 i = 0; i < kColumns; i++) port::mmio_write<u16>(&cells_[kColumns * (kRows - 1) + i], kBlank);
}

void VgaText::put(char c) {
    switch (c) {
        case '\n': new_line(); return;
        case '\r': column_ = 0; return;
        case '\b':
            if (column_ > 0) column_--;
            return;
        case '\t':
            do put(' ');
            while (column_ % 8 != 0);
            return;
        default: break;
    }
    if (column_ == kColumns) new_line();
    port::mmio_write<u16>(&cells_[row_ * kColumns + column_++],
                          static_cast<u16>(kAttribute | static_cast<u8>(c)));
}

void VgaText::write(std::string_view text) {
    if (cells_ == nullptr) return;
    for (char c : text) put(c);
    show_cursor();
}

void VgaText::show_cursor() const {
    const u32 at = row_ * kColumns + (column_ < kColumns ? column_ : kColumns - 1);
    port::out8(kCrtcIndex, 0x0e);
    port::out8(kCrtcData, static_cast<u8>(at >> 8));
    port::out8(kCrtcIndex, 0x0f);
    port::out8(kCrtcData, static_cast<u8>(at));
}

}  // namespace domus
