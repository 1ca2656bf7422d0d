// SPDX-License-Identifier: GPL-2.0-or-later
// Which memory of the boot modules can be given away once they are used.
#include "boot/modules.hpp"

namespace domus {

bool has_own_frames(std::span<const BootModule> modules, const BootModule& module, const MemoryMap& map) {
    const u64 start = module.start.v;
    if (start % kPageSize != 0 || module.end.v > ~u64{0} - kPageSize) return false;
    const u64 end = round_up(module.end.v, kPageSize);
    for (const BootModule& other : modules)
        if (&other != &module && other.start.v < end && other.end.v > start) return false;
    for (const MemoryRegion& r : map.regions())
        if (r.type == MemoryType::usable && r.start <= start && end <= r.end) return true;
    return false;
}

}  // namespace domus
