// SPDX-License-Identifier: GPL-2.0-or-later
// The virtual IDT and the entry points.
#include "pv/traps.hpp"

#include <algorithm>

#include "pv/address.hpp"
#include "pv/descriptors.hpp"

namespace domus::pv {

Result<> set_trap(PvVcpu& pv, const trap_info_t& info) {
    if (!canonical(info.address)) return fail(Error::inval);
    TrapGate& gate = pv.traps[info.vector];
    // NMIs have one handler, whether it is set as this gate (as Linux does) or as a callback.
    if (info.vector == static_cast<u8>(Trap::nmi)) pv.nmi_callback = info.address;
    if (info.address == 0 && info.cs == 0) {
        gate = {};
        return {};
    }
    gate.rip = info.address;
    gate.cs = ring3_selector(info.cs);
    gate.dpl = static_cast<u8>(TI_GET_DPL(&info));
    gate.masks_events = TI_GET_IF(&info) != 0;
    return {};
}

void clear_traps(PvVcpu& pv) {
    std::fill_n(pv.traps, kTrapCount, TrapGate{});
    pv.nmi_callback = 0;
}

Result<> register_callback(PvVcpu& pv, u16 type, u16 flags, u64 address) {
    if (!canonical(address)) return fail(Error::inval);
    const bool mask = (flags & CALLBACKF_mask_events) != 0;
    switch (type) {
        case CALLBACKTYPE_event: pv.event_callback = address; break;
        case CALLBACKTYPE_failsafe:
            pv.failsafe_callback = address;
            pv.failsafe_masks_events = mask;
            break;
        case CALLBACKTYPE_syscall:
            pv.syscall_callback = address;
            pv.syscall_masks_events = mask;
            break;
        case CALLBACKTYPE_nmi: pv.nmi_callback = address; break;
        case CALLBACKTYPE_syscall32:
            pv.syscall32_callback = address;
            pv.syscall32_masks_events = mask;
            break;
        case CALLBACKTYPE_sysenter:
            pv.sysenter_callback = address;
            pv.sysenter_masks_events = mask;
            break;
        default: return fail(Error::nosys);
    }
    return {};
}

Result<> unregister_callback(PvVcpu& pv, u16 type) {
    switch (type) {
        case CALLBACKTYPE_nmi: pv.nmi_callback = 0; return {};
        // A guest cannot be without these: there is nowhere else to go.
        case CALLBACKTYPE_event:
        case CALLBACKTYPE_failsafe:
        case CALLBACKTYPE_syscall:
        case CALLBACKTYPE_syscall32:
        case CALLBACKTYPE_sysenter: return fail(Error::inval);
        default: return fail(Error::nosys);
    }
}

Result<> set_callbacks(PvVcpu& pv, u64 event, u64 failsafe, u64 syscall) {
    if (!canonical(event) || !canonical(failsafe) || !canonical(syscall)) return fail(Error::inval);
    pv.event_callback = event;
    pv.failsafe_callback = failsafe;
    pv.syscall_callback = syscall;
    return {};
}

void set_kernel_stack(PvVcpu& pv, u64 ss, u64 sp) {
    pv.kernel_ss = ring3_selector(static_cast<u16>(ss));
    pv.kernel_sp = sp;
}

}  // namespace domus::pv
