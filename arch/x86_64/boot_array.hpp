// SPDX-License-Identifier: GPL-2.0-or-later
// Arrays whose size the machine decides, allocated once at boot.
#pragma once

#include <bit>
#include <new>
#include <span>

#include "base/result.hpp"
#include "mm/heap.hpp"
#include "port/memory.hpp"

namespace domus::x86 {

// `count` value-initialised T, for ever. ENOMEM.
template <class T>
Result<std::span<T>> boot_array(u32 count) {
    if (count == 0) return std::span<T>();
    const u64 pages = round_up(u64{count} * sizeof(T), kPageSize) / kPageSize;
    const unsigned order = static_cast<unsigned>(std::bit_width(pages - 1));
    if (order > kMaxOrder) return fail(Error::nomem);
    T* items = port::frame_ptr<T>(TRY(alloc_frames(order)));
    for (u32 i = 0; i < count; i++) new (&items[i]) T();
    return std::span<T>(items, count);
}

}  // namespace domus::x86
