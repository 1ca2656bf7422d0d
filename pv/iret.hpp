// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace domus {
struct GuestRegs;
struct Vcpu;
namespace pv {

// Leaves the guest's kernel as the iret_context at its RSP says. It sets all registers: there is no result in
// RAX. A context that cannot be read crashes the domain.
void iret(Vcpu& v, GuestRegs& regs);

}  // namespace pv
}  // namespace domus
