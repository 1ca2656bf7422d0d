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
    if (info.vector == static_cast<u8>(Trap::nmi)) {
        pv.nmi_callback = info.address;
        pv.nmi_cs = info.cs == 0 ? u16{0} : guest_selector(pv.is_32bit, info.cs);
    }
    if (info.address == 0 && info.cs == 0) {
        gate = {};
        return {};
    }
    gate.rip = info.address;
    gate.cs = guest_selector(pv.is_32bit, info.cs);
    gate.dpl = static_cast<u8>(TI_GET_DPL(&info));
    gate.masks_events = TI_GET_IF(&info) != 0;
    return {};
}

void clear_traps(PvVcpu& pv) {
    std::fill_n(pv.traps, kTrapCount, TrapGate{});
    pv.nmi_callback = 0;
    pv.nmi_cs = 0;
}

Result<> register_callback(PvVcpu& pv, u16 type, u16 flags, u64 address, u16 cs) {
    if (!canonical(address)) return fail(Error::inval);
    if (cs != 0) cs = guest_selector(pv.is_32bit, cs);
    const bool mask = (flags & CALLBACKF_mask_events) != 0;
    switch (type) {
        case CALLBACKTYPE_event:
            pv.event_callback = address;
            pv.event_cs = cs;
            break;
        case CALLBACKTYPE_failsafe:
            pv.failsafe_callback = address;
            pv.failsafe_cs = cs;
            pv.failsafe_masks_events = mask;
            break;
        case CALLBACKTYPE_syscall:
            if (pv.is_32bit) return fail(Error::nosys);
            pv.syscall_callback = address;
            pv.syscall_masks_events = mask;
            break;
        case CALLBACKTYPE_nmi:
            pv.nmi_callback = address;
            pv.nmi_cs = cs;
            break;
        case CALLBACKTYPE_syscall32:
            pv.syscall32_callback = address;
            pv.syscall32_cs = cs;
            pv.syscall32_masks_events = mask;
            break;
        case CALLBACKTYPE_sysenter:
            pv.sysenter_callback = address;
            pv.sysenter_cs = cs;
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

Result<> set_callbacks32(PvVcpu& pv, u16 event_cs, u64 event, u16 failsafe_cs, u64 failsafe) {
    if (event >> 32 != 0 || failsafe >> 32 != 0) return fail(Error::inval);
    pv.event_callback = event;
    pv.event_cs = guest_selector(true, event_cs);
    pv.failsafe_callback = failsafe;
    pv.failsafe_cs = guest_selector(true, failsafe_cs);
    return {};
}

void set_kernel_stack(PvVcpu& pv, u64 ss, u64 sp) {
    pv.kernel_ss = guest_selector(pv.is_32bit, static_cast<u16>(ss));
    pv.kernel_sp = sp;
}

}  // namespace domus::pv
