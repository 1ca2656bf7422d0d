// SPDX-License-Identifier: GPL-2.0-or-later
// Who makes a hypercall, and who may.
#pragma once

#include "arch_state/regs.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"

namespace domus::hypercall {

// Handlers see the caller through this and nothing ambient.
struct Caller {
    Vcpu& vcpu;
    Domain& domain;
    GuestRegs& regs;            // for the few calls that change more than the result: iret
    bool in_multicall = false;  // one entry of a multicall
};

enum class Who : u8 {
    any,
    control,   // the control domain (toolstack)
    hardware,  // the hardware domain (devices and interrupts); often the same domain
    control_or_hardware,
};

inline bool allowed(const Domain& d, Who who) {
    switch (who) {
        case Who::any: return true;
        case Who::control: return d.privileged;
        case Who::hardware: return d.hardware;
        case Who::control_or_hardware: return d.privileged || d.hardware;
    }
    return false;
}

}  // namespace domus::hypercall
