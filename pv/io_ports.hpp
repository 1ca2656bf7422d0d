// SPDX-License-Identifier: GPL-2.0-or-later
// I/O ports of a PV domain: which it may use, and those that are shared with the hypervisor or have state of
// their own.
#pragma once

#include "base/types.hpp"

namespace domus {
struct Vcpu;
namespace pv {

// May the guest's code at its current privilege touch the port at all? If not, it gets #GP. (User code: only
// through the I/O bitmap or I/O privilege level that its kernel has set.)
bool port_allowed(const Vcpu& v, u16 port, unsigned bytes);

// One access of 1, 2 or 4 bytes. A port the domain does not own reads as all ones and ignores writes, as an
// empty bus does.
u32 read_port(Vcpu& v, u16 port, unsigned bytes);
void write_port(Vcpu& v, u16 port, unsigned bytes, u32 value);

// The base of the serial port that is the hypervisor's console (0: none): absent for every domain.
void claim_uart(u16 base);

}  // namespace pv
}  // namespace domus
