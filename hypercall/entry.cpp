// SPDX-License-Identifier: GPL-2.0-or-later
// Where entry code's SYSCALL from a guest's kernel arrives (port/guest_entry.hpp).
#include "hypercall/dispatch.hpp"
#include "port/guest_entry.hpp"

namespace domus::upcall {

void guest_hypercall(Vcpu& v, GuestRegs& regs) { hypercall::dispatch(v, regs); }

}  // namespace domus::upcall
