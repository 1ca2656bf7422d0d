// SPDX-License-Identifier: GPL-2.0-or-later
// Where entry code's SYSCALL from a guest's kernel arrives, and INT 82h from a 32-bit one's
// (port/guest_entry.hpp).
#include "hypercall/dispatch.hpp"
#include "port/guest_entry.hpp"

namespace domus::upcall {

void guest_hypercall(Vcpu& v, GuestRegs& regs) { hypercall::dispatch<hypercall::Layout64>(v, regs); }
void guest_hypercall32(Vcpu& v, GuestRegs& regs) { hypercall::dispatch<hypercall::Layout32>(v, regs); }

}  // namespace domus::upcall
