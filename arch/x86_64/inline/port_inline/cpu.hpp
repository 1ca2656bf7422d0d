// SPDX-License-Identifier: GPL-2.0-or-later
// A CPU finds its own data at the top of its stack: the stacks are aligned to their size, so a mask of RSP is
// enough, and neither GS base is ever the hypervisor's (both belong to the guest).
#pragma once

#include "arch_state/cpu_info.hpp"
#include "base/types.hpp"

namespace domus::port {

inline CpuId this_cpu() { return cpu_info()->cpu; }

}  // namespace domus::port
