// SPDX-License-Identifier: GPL-2.0-or-later
// Writes of a guest's kernel to its page tables.
#include "pv/emulate.hpp"

namespace domus::pv {

EmulateResult emulate_pte_write(Vcpu&, GuestRegs&, Vaddr) { return {}; }

}  // namespace domus::pv
