// SPDX-License-Identifier: GPL-2.0-or-later
// Host builds: the frame table and the machine-to-physical table are the simulated machine's.
#pragma once
#include "base/types.hpp"

namespace domus {
struct Frame;
namespace port {
extern Frame* fake_frame_table;
extern u64* fake_m2p;
extern u32* fake_m2p32;
inline Frame* frame_table_base() { return fake_frame_table; }
inline u64* m2p_base() { return fake_m2p; }
inline u32* m2p32_base() { return fake_m2p32; }
}  // namespace port
}  // namespace domus
