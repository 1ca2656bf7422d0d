// SPDX-License-Identifier: GPL-2.0-or-later
// port/interrupt.hpp over simulated lines: tests raise them and see what the core did to them. The real
// implementation is linked into the hypervisor only (its logic is tested through its own classes).
#pragma once

#include <vector>

#include "port/interrupt.hpp"

namespace domus::fakes {

struct IrqLine {
    bool used = false, masked = true, in_service = false, level = false, asserted = false;
    Gsi gsi{~0u};
    IrqHandler handler;
    CpuId cpu{};
    u32 deliveries = 0, eois = 0, lost = 0;
};

struct Interrupts {
    static constexpr u32 gsis = 24;
    std::vector<IrqLine> lines;
    bool level[gsis] = {};
    u32 no_vectors_after = ~0u;  // allocations that still succeed

    // The device asserts the line (level: until lower()).
    void raise(IrqId irq);
    void lower(IrqId irq) { lines[irq.v].asserted = false; }
    void reset() { *this = Interrupts(); }
};
extern Interrupts interrupts;

}  // namespace domus::fakes
