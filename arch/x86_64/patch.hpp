// SPDX-License-Identifier: GPL-2.0-or-later
// Fits the code to the CPU, once.
#pragma once

namespace domus::x86 {

// Applies the patches for what detect_features() has found. On the boot CPU, while the image is still
// writable: before the hypervisor's own page tables are loaded.
void patch_code();

}  // namespace domus::x86
