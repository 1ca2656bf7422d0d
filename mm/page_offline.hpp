// SPDX-License-Identifier: GPL-2.0-or-later
// Memory taken out of use while the machine runs, because it begins to fail: such a frame is never handed
// out. One that is in use is withheld when it is given back.
#pragma once

#include "base/result.hpp"
#include "mm/frame.hpp"

namespace domus {

// Frame::flags, besides those of mm/frame.hpp; the heap's lock guards them.
inline constexpr u8 kFrameOffline = 1u << 3;      // in no free block, and used by nobody
inline constexpr u8 kFrameGoesOffline = 1u << 4;  // used by somebody

enum class FrameUse : u8 { online, goes_offline, offline };

// EINVAL, all three: not RAM.
Result<FrameUse> take_frame_offline(Mfn m);
Result<> bring_frame_online(Mfn m);  // no effect on one that is
Result<FrameUse> frame_use(Mfn m);

// Frames that are offline.
u64 offline_frames();

}  // namespace domus
