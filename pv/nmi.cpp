// SPDX-License-Identifier: GPL-2.0-or-later
// NMIs that vCPUs of a guest send each other (VCPUOP_send_nmi), into the callback registered by nmi_op or
// callback_op.
#include "core/vcpu.hpp"
#include "port/guest_entry.hpp"
#include "pv/bounce.hpp"

namespace domus::upcall {

void deliver_nmi(Vcpu& v, GuestRegs& regs) {
    if (!core::nmi_deliverable(v)) return;
    v.nmi_pending.store(false);
    v.pv.in_nmi = true;
    pv::bounce(v, regs, {.rip = v.pv.nmi_callback, .cs = v.pv.nmi_cs, .masks_events = true});
}

}  // namespace domus::upcall
