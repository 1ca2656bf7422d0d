// SPDX-License-Identifier: GPL-2.0-or-later
// The page that a PV kernel finds at its start (public xen.h: start_info, dom0_vga_console_info).
#pragma once

#include "boot/dom0_builder.hpp"

namespace domus {

// Fills a zeroed page.
void write_start_info(const Dom0Request& request, void* page);

}  // namespace domus
