// SPDX-License-Identifier: GPL-2.0-or-later
// Instructions of the hypervisor that may fault on a guest's data, and where to go on then.
#pragma once

#include "base/types.hpp"

namespace domus::x86 {

// The landing of the instruction at rip; 0 if it must not fault.
u64 fault_landing(u64 rip);

}  // namespace domus::x86
