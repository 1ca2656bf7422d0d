// SPDX-License-Identifier: GPL-2.0-or-later
// The hypervisor's own small objects: size classes carved from single frames; larger ones take whole frames.
// Allocation can fail at any time and says so; the holder knows the size when it gives back.
#pragma once

#include "base/result.hpp"

namespace domus {

// Uninitialised memory (poisoned in debug builds) of `size` > 0 bytes, aligned to `align`, a power of two up
// to a page. ENOMEM.
Result<void*> allocate(usize size, usize align = 16);
// With the same size and alignment.
void deallocate(void* p, usize size, usize align = 16);

// Bytes handed out and not given back, by the sizes that were asked for.
u64 objects_bytes_in_use();

// For tests: forgets all slabs (before heap_reset).
void objects_reset();

}  // namespace domus
