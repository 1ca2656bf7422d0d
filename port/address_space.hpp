// SPDX-License-Identifier: GPL-2.0-or-later
// Which guest page table this CPU walks.
#pragma once

#include "base/types.hpp"

namespace domus::port {

// Loads an L4 table of the current vCPU on this CPU (its kernel_table has changed). Drops all guest
// translations.
void load_address_space(Mfn l4);

}  // namespace domus::port
