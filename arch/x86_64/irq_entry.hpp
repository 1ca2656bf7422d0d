// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupts' entry: from the stubs' vector number to the line's handler, the timer, or another CPU's
// request.
#pragma once

#include "base/types.hpp"

namespace domus::x86 {

// A vector from 0x20 up has arrived, in a guest or in an interrupt window of the hypervisor; acknowledges it.
// Requests between CPUs (cpu.hpp, Ipi): kick needs nothing but the entry itself, flush calls
// serve_flush_requests(). Implemented in irq.cpp.
void handle_interrupt(u8 vector);

}  // namespace domus::x86
