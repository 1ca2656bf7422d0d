// SPDX-License-Identifier: GPL-2.0-or-later
// set_segment_base: FS and GS bases of the current vCPU.
#pragma once

#include "base/result.hpp"
#include "core/vcpu.hpp"

namespace domus::pv {

// `which` is SEGBASE_* (public arch-x86/xen-x86_64.h). EINVAL: no such segment, a base that is not canonical,
// or a user selector that cannot be loaded.
Result<> set_segment_base(Vcpu& v, u32 which, u64 base);

}  // namespace domus::pv
