// SPDX-License-Identifier: GPL-2.0-or-later
// port/cpuid.hpp for host builds: what the test says.
#include "fakes/cpuid.hpp"

namespace domus {

namespace fakes {
std::map<std::pair<u32, u32>, CpuidLeaf> cpuid_leaves;
}

namespace port {
CpuidLeaf cpuid(u32 leaf, u32 subleaf) {
    const auto at = fakes::cpuid_leaves.find({leaf, subleaf});
    return at == fakes::cpuid_leaves.end() ? CpuidLeaf{} : at->second;
}
}  // namespace port
}  // namespace domus
