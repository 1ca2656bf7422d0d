// SPDX-License-Identifier: GPL-2.0-or-later
// The direct map: all of machine memory, readable and writable, never executable.
#pragma once

#include "arch_state/layout.hpp"
#include "base/types.hpp"

namespace domus::port {

inline void* direct_map(Maddr a) { return reinterpret_cast<void*>(layout::kDirectMap + a.v); }
inline Maddr direct_map_address(const void* p) {
    return Maddr(reinterpret_cast<u64>(p) - layout::kDirectMap);
}

}  // namespace domus::port
