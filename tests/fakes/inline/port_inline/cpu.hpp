// SPDX-License-Identifier: GPL-2.0-or-later
// Host builds: the simulated CPU number of the calling thread.
#pragma once

#include "base/types.hpp"

namespace domus::port {

extern thread_local CpuId fake_cpu;
inline CpuId this_cpu() { return fake_cpu; }

}  // namespace domus::port
