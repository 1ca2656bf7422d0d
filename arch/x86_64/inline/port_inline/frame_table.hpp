// SPDX-License-Identifier: GPL-2.0-or-later
// The frame table and the machine-to-physical table at their fixed places in the address map.
#pragma once
#include "arch_state/layout.hpp"

namespace domus {
struct Frame;
namespace port {
inline Frame* frame_table_base() { return reinterpret_cast<Frame*>(layout::kFrameTable); }
inline u64* m2p_base() { return reinterpret_cast<u64*>(layout::kM2p); }
inline u32* m2p32_base() { return reinterpret_cast<u32*>(layout::kM2p32); }
}  // namespace port
}  // namespace domus
