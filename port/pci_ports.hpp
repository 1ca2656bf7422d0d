// SPDX-License-Identifier: GPL-2.0-or-later
// PCI configuration mechanism #1 (PCI Local Bus Specification 3.0, 3.2.2.3.2) is a pair of registers, address
// and data, of which the machine has one.
#pragma once

#include "port/lock.hpp"

namespace domus::port {

// Held from the write of the address to the access of the data, by whoever makes them: the hypervisor's own
// drivers, or the hardware domain's instructions as they are emulated.
inline constinit SpinLock pci_config_ports{Rank::leaf};

}  // namespace domus::port
