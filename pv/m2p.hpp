// SPDX-License-Identifier: GPL-2.0-or-later
// The machine-to-physical table: for every frame, which page of its owner's it is. Guests read it; they may
// lie about their own pages, so nothing in here is trusted.
#pragma once

#include <atomic>

#include <port_inline/frame_table.hpp>  // u64* m2p_base(), u32* m2p32_base()

#include "abi/xen32.hpp"
#include "base/types.hpp"
#include "mm/write_log.hpp"

namespace domus::pv {

inline constexpr u64 kInvalidM2p = ~u64{0};  // public arch-x86/xen.h, INVALID_M2P_ENTRY

// Precondition: frame_valid(m). 32-bit guests have a table of their own, which covers what they can name.
inline void set_m2p(Mfn m, u64 gfn) {
    std::atomic_ref(port::m2p_base()[m.v]).store(gfn, std::memory_order_relaxed);
    if (m.v < abi32::kM2pEntries)
        std::atomic_ref(port::m2p32_base()[m.v]).store(static_cast<u32>(gfn), std::memory_order_relaxed);
    note_written(frame_of(m));  // it is another page of its owner's from now on
}
inline u64 m2p(Mfn m) { return std::atomic_ref(port::m2p_base()[m.v]).load(std::memory_order_relaxed); }

}  // namespace domus::pv
