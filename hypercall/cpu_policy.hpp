// SPDX-License-Identifier: GPL-2.0-or-later
// Handing processor policies to callers, as domctl and sysctl both do.
#pragma once

#include "base/result.hpp"
#include "pv/cpu_policy_wire.hpp"

namespace domus::hypercall {

// A policy into a caller's two buffers; a null buffer asks for the most that there can be. The counts are
// those of the buffers, then of what was written. ENOBUFS: too few.
Result<> write_policy(const CpuPolicy& policy, u32& leaf_count, u64 leaves, u32& msr_count, u64 msrs);

}  // namespace domus::hypercall
