// SPDX-License-Identifier: GPL-2.0-or-later
// What a PV guest sees of the processor: the host's leaves less what a PV guest cannot have, and the
// hypervisor's own leaves.
#pragma once

#include "port/cpuid.hpp"

namespace domus {
struct Domain;
struct Vcpu;
namespace pv {

// The leaf as the guest sees it.
CpuidLeaf guest_cpuid(const Vcpu& v, u32 leaf, u32 subleaf);

// May XCR0 have this value in the domain's vCPUs? Anything else makes the processor fault that loads it.
bool xcr0_allowed(const Domain& d, u64 xcr0);

}  // namespace pv
}  // namespace domus
