// SPDX-License-Identifier: GPL-2.0-or-later
// port/topology.hpp for host builds: what the test says.
#include "fakes/topology.hpp"

namespace domus {

namespace fakes {
std::vector<CpuTopology> topology;
}

namespace port {
CpuTopology cpu_topology(CpuId cpu) {
    return cpu.v < fakes::topology.size() ? fakes::topology[cpu.v] : CpuTopology{.core = cpu.v};
}
}  // namespace port
}  // namespace domus
