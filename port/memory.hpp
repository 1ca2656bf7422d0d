// SPDX-License-Identifier: GPL-2.0-or-later
// Machine memory as the hypervisor sees it.
#pragma once

#include <port_inline/memory.hpp>  // void* direct_map(Maddr); Maddr direct_map_address(const void*)

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::port {

// Guest-visible and internal metadata arrays follow use: back the virtual arrays of frames [first,
// first+count) (frame table and M2P) with memory. Page granularity of one GiB. ENOMEM.
Result<> populate_metadata(Mfn first, u64 count);

// The first of the frames of the machine-to-physical table's part for GiB number `gib`, 2 MiB that guests may
// map read-only as DOMID_XEN's; kNoMfn where there is none.
Mfn m2p_block(u64 gib);

// The same of the table for 32-bit guests, for the `part`-th 2 GiB.
Mfn m2p32_block(u64 part);

// Maps a device's registers uncached; the mapping lives for ever. ENOMEM.
Result<void*> map_device(Maddr base, u64 size);

template <class T = u8>
T* frame_ptr(Mfn m) {
    return static_cast<T*>(direct_map(maddr(m)));
}

}  // namespace domus::port
