// SPDX-License-Identifier: GPL-2.0-or-later
// Which guest page table this CPU walks.
#pragma once

#include "base/types.hpp"

namespace domus {
struct Vcpu;
}

namespace domus::port {

// Loads the kernel_table of the current vCPU on this CPU, after it has changed. Drops all
// guest translations.
void load_address_space(Vcpu& v);

}  // namespace domus::port
