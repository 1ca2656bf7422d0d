// SPDX-License-Identifier: GPL-2.0-or-later
// The memory of boot modules: whose it can become.
#pragma once

#include <span>

#include "boot/boot_info.hpp"
#include "boot/memory_map.hpp"

namespace domus {

// Do all frames that hold the module hold nothing else, and are they wholly usable memory? Then they can
// become dom0's, or the heap's. `map` is sanitised.
bool has_own_frames(std::span<const BootModule> modules, const BootModule& module, const MemoryMap& map);

}  // namespace domus
