// SPDX-License-Identifier: GPL-2.0-or-later
// What a PV guest sees of the processor: the host's leaves less what a PV guest cannot have, and the
// hypervisor's own leaves.
#pragma once

#include "port/cpuid.hpp"

namespace domus {
struct Vcpu;
namespace pv {

// The leaf as the guest sees it.
CpuidLeaf guest_cpuid(const Vcpu& v, u32 leaf, u32 subleaf);

}  // namespace pv
}  // namespace domus
