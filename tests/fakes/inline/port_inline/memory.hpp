// SPDX-License-Identifier: GPL-2.0-or-later
// Host builds: machine memory is a sparse anonymous mapping that starts at machine address 0.
#pragma once

#include "base/types.hpp"

namespace domus::port {

extern u8* fake_ram;        // see tests/fakes/machine.hpp
extern u64 fake_ram_bytes;  // bytes

inline void* direct_map(Maddr a) { return fake_ram + a.v; }
inline Maddr direct_map_address(const void* p) {
    return Maddr(static_cast<u64>(static_cast<const u8*>(p) - fake_ram));
}

}  // namespace domus::port
