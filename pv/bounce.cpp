// SPDX-License-Identifier: GPL-2.0-or-later
// Bounce frames.
#include "pv/bounce.hpp"

#include <atomic>

#include "arch_state/layout.hpp"
#include "arch_state/offsets.hpp"
#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "port/guest_entry.hpp"
#include "port/guest_memory.hpp"
#include "port/pv_hw.hpp"
#include "pv/guest_cr2.hpp"

namespace domus::pv {

namespace {

// The guest writes its vcpu_info at any time: byte accesses, once each.
u8 event_mask(const Vcpu& v) { return __atomic_load_n(&v.info->evtchn_upcall_mask, __ATOMIC_RELAXED); }
void set_event_mask(Vcpu& v, u8 mask) {
    __atomic_store_n(&v.info->evtchn_upcall_mask, mask, __ATOMIC_RELAXED);
}

void crash(Vcpu& v, const GuestRegs& regs, const char* why) {
    // Said once in a domain's life, and not to be lost among the lines of a guest that misbehaves: no
    // guest_log().
    log(Level::error, "d{}v{}: {} (rip {:x}, rsp {:x}, vector {}): the domain is crashed", v.domain->id, v.id,
        why, regs.rip, regs.rsp, regs.vector);
    port::crash_current_domain(v);
}

}  // namespace

template <>
void bounce_as<Guest64>(Vcpu& v, GuestRegs& regs, const Bounce& to) {
    PvVcpu& pv = v.pv;
    if (!layout::guest_may_access(to.rip) || to.rip == 0)
        return crash(v, regs, "the guest has no handler for what happened");

    const u8 mask = event_mask(v);
    // The guest kernel runs in ring 3: CPL 0 in a saved CS is how the ABI says "kernel mode".
    const u64 saved_cs = (pv.in_kernel ? regs.cs & ~u64{3} : regs.cs) | u64{mask} << 32;
    u64 saved_flags = regs.rflags & ~(kFlagIf | kFlagIopl);
    if (mask == 0) saved_flags |= kFlagIf;
    saved_flags |= u64{pv.iopl & 3} << 12;
    const u64 stack = pv.in_kernel ? regs.rsp : pv.kernel_sp;

    u64 frame[12];
    usize n = 0;
    frame[n++] = regs.rcx;
    frame[n++] = regs.r11;
    if (to.selectors) {
        for (const u16 s : {pv.ds, pv.es, pv.fs, pv.gs}) frame[n++] = s;
    }
    if (to.error_code) frame[n++] = *to.error_code;
    frame[n++] = regs.rip;
    frame[n++] = saved_cs;
    frame[n++] = saved_flags;
    frame[n++] = regs.rsp;
    frame[n++] = regs.ss;

    if (!pv.in_kernel) port::enter_kernel_mode(v);
    const u64 sp = (stack & ~u64{15}) - n * sizeof(u64);
    if (port::copy_to_guest(Vaddr(sp), frame, n * sizeof(u64)) != 0)
        return crash(v, regs, "the guest's kernel stack cannot take an exception frame");

    regs.vector = 0;  // leave by IRET: RCX and R11 are the guest's
    regs.rip = to.rip;
    regs.cs = to.cs == 0 ? SEL_GUEST_CS64 : (to.cs | 3u);
    regs.ss = SEL_GUEST_DS;
    regs.rsp = sp;
    regs.rflags = sanitise_flags(regs.rflags) & ~(kFlagTf | kFlagDf | kFlagNt | kFlagRf | kFlagAc);
    if (to.masks_events) set_event_mask(v, 1);
}

template <>
void bounce_as<Guest32>(Vcpu& v, GuestRegs& regs, const Bounce& to) {
    PvVcpu& pv = v.pv;
    if (to.rip == 0) return crash(v, regs, "the guest has no handler for what happened");

    const bool inner = (regs.cs & 3) == 1;
    const u8 mask = event_mask(v);
    u64 flags = regs.rflags & ~(kFlagIf | kFlagIopl);
    if (mask == 0) flags |= kFlagIf;
    flags |= u64{pv.iopl & 3} << 12;

    u32 frame[10];
    usize n = 0;
    if (to.selectors) {
        for (const u16 s : {pv.ds, pv.es, pv.fs, pv.gs}) frame[n++] = s;
    }
    if (to.error_code) frame[n++] = *to.error_code;
    frame[n++] = static_cast<u32>(regs.rip);
    frame[n++] = static_cast<u32>(regs.cs & 0xffff) | u32{mask} << 16;
    frame[n++] = static_cast<u32>(flags);
    if (!inner) {
        frame[n++] = static_cast<u32>(regs.rsp);
        frame[n++] = static_cast<u32>(regs.ss);
    }
    const u32 sp = static_cast<u32>(inner ? regs.rsp : pv.kernel_sp) - static_cast<u32>(n * sizeof(u32));
    if (port::copy_to_guest(Vaddr(sp), frame, n * sizeof(u32)) != 0)
        return crash(v, regs, "the guest's kernel stack cannot take an exception frame");

    pv.in_kernel = true;
    regs.vector = 0;
    regs.rip = static_cast<u32>(to.rip);
    regs.cs = to.cs == 0 ? abi32::kKernelCs : to.cs;
    if (!inner) regs.ss = pv.kernel_ss;
    regs.rsp = sp;
    regs.rflags = sanitise_flags(regs.rflags) & ~(kFlagTf | kFlagNt | kFlagRf | kFlagAc);
    if (to.masks_events) set_event_mask(v, 1);
}

void bounce(Vcpu& v, GuestRegs& regs, const Bounce& to) {
    if (v.pv.is_32bit) {
        bounce_as<Guest32>(v, regs, to);
    } else {
        bounce_as<Guest64>(v, regs, to);
    }
}

template <class G>
void inject_trap_as(Vcpu& v, GuestRegs& regs, u8 vector, std::optional<u32> error_code) {
    const TrapGate& gate = v.pv.traps[vector];
    bounce_as<G>(v, regs,
                 {.rip = gate.present() ? gate.rip : 0,
                  .cs = gate.cs,
                  .masks_events = gate.masks_events,
                  .error_code = error_code});
}

template <class G>
void inject_page_fault_as(Vcpu& v, GuestRegs& regs, u32 error_code, u64 address) {
    if constexpr (std::is_same_v<G, Guest64>) {
        v.pv.cr2 = address;
        __atomic_store_n(&v.info->arch.cr2, address, __ATOMIC_RELAXED);
        error_code = v.pv.in_kernel ? error_code & ~kPfUser : error_code | kPfUser;
    } else {
        // Of the rings the CPU tells the truth.
        set_guest_cr2(v, address);
    }
    inject_trap_as<G>(v, regs, static_cast<u8>(Trap::page_fault), error_code);
}

template void inject_trap_as<Guest64>(Vcpu&, GuestRegs&, u8, std::optional<u32>);
template void inject_trap_as<Guest32>(Vcpu&, GuestRegs&, u8, std::optional<u32>);
template void inject_page_fault_as<Guest64>(Vcpu&, GuestRegs&, u32, u64);
template void inject_page_fault_as<Guest32>(Vcpu&, GuestRegs&, u32, u64);

void inject_trap(Vcpu& v, GuestRegs& regs, u8 vector, std::optional<u32> error_code) {
    if (v.pv.is_32bit) {
        inject_trap_as<Guest32>(v, regs, vector, error_code);
    } else {
        inject_trap_as<Guest64>(v, regs, vector, error_code);
    }
}

void inject_page_fault(Vcpu& v, GuestRegs& regs, u32 error_code, u64 address) {
    if (v.pv.is_32bit) {
        inject_page_fault_as<Guest32>(v, regs, error_code, address);
    } else {
        inject_page_fault_as<Guest64>(v, regs, error_code, address);
    }
}

}  // namespace domus::pv
