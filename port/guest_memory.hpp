// SPDX-License-Identifier: GPL-2.0-or-later
// Access to the current vCPU's virtual address space. Addresses come from a guest: the implementation refuses
// the hypervisor's own range and non-canonical addresses, and turns a page fault into a short count.
#pragma once

#include "base/types.hpp"

namespace domus::port {

// Return the number of bytes NOT copied (0: all done).
usize copy_from_guest(void* to, Vaddr from, usize size);
usize copy_to_guest(Vaddr to, const void* from, usize size);
usize clear_guest(Vaddr to, usize size);

}  // namespace domus::port
