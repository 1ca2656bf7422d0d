// SPDX-License-Identifier: GPL-2.0-or-later
// The text mode that a BIOS left behind, as its data area tells (IBM PC BIOS data area at 0x400).
#pragma once

#include <span>

#include "boot/boot_info.hpp"

namespace domus {

// `data_area`: the 256 bytes at machine address 0x400. None if the video mode there is no 80-column text mode
// (as on machines without a BIOS, where the bytes mean nothing).
VideoMode bios_text_mode(std::span<const u8, 256> data_area);

}  // namespace domus
