// SPDX-License-Identifier: GPL-2.0-or-later
// The iret hypercall.
#include "pv/iret.hpp"

#include <atomic>
#include <cstddef>
#include <cstring>

#include "core/domain.hpp"
#include "port/guest_ptr.hpp"
#include "port/pv_hw.hpp"
#include "pv/address.hpp"
#include "pv/descriptors.hpp"

namespace domus::pv {

namespace {
// A guest keeps these in RFLAGS; the rest is the hypervisor's: interrupts on, I/O privilege 0, no nested
// task, no virtual-8086.
constexpr u64 kFlagsOfGuest = ~(kFlagIopl | kFlagNt | kFlagVm | kFlagVif | kFlagVip | 0xffffffff00000000u);
}  // namespace

Result<IretTarget> load_iret_frame(GuestRegs& r, const iret_context& frame) {
    if (!canonical(frame.rip)) return fail(Error::inval);
    r.rax = frame.rax;
    r.rip = frame.rip;
    r.rsp = frame.rsp;
    r.rflags = (frame.rflags & kFlagsOfGuest) | kFlagIf | kFlagFixed;
    if ((frame.flags & VGCF_in_syscall) != 0) {
        // Discards cs, ss, rcx and r11, as SYSRET does.
        r.cs = FLAT_USER_CS64;
        r.ss = FLAT_USER_SS64;
        r.rcx = frame.rip;
        r.r11 = r.rflags;
        r.vector = kSyscallVector;
    } else {
        r.cs = ring3_selector(static_cast<u16>(frame.cs));
        r.ss = ring3_selector(static_cast<u16>(frame.ss));
        r.rcx = frame.rcx;
        r.r11 = frame.r11;
        // Not by SYSRET: the exit path must restore everything.
        r.vector = 0;
    }
    return IretTarget{.to_user = (frame.cs & 3) == 3,
                      .events_masked = (frame.rflags & kFlagIf) == 0,
                      .iopl = static_cast<u32>((frame.rflags & kFlagIopl) >> 12)};
}

Result<> iret(Vcpu& v, GuestRegs& regs) {
    const iret_context frame = TRY(GuestIn<iret_context>(regs.rsp).read());
    const IretTarget target = TRY(load_iret_frame(regs, frame));
    if (target.to_user) {
        if (v.pv.user_table == kNoMfn) return fail(Error::fault);
        port::enter_user_mode(v);
    }
    v.pv.in_nmi = false;
    if ((v.domain->vm_assist & (u64{1} << VMASST_TYPE_architectural_iopl)) != 0) v.pv.iopl = target.iopl;
    // The exit path looks for pending events after this store.
    std::atomic_ref(v.info->evtchn_upcall_mask)
        .store(target.events_masked ? 1 : 0, std::memory_order_release);
    return {};
}

Result<IretTarget> load_iret32_frame(GuestRegs& r, const Iret32Frame& frame) {
    if ((frame.cs & 3) == 0 || (frame.eflags & kFlagVm) != 0) return fail(Error::inval);
    const IretTarget target{.to_user = (frame.cs & 3) != 1,
                            .events_masked = (frame.eflags & kFlagIf) == 0,
                            .iopl = static_cast<u32>((frame.eflags & kFlagIopl) >> 12)};
    r.rax = frame.eax;
    r.rip = frame.eip;
    r.cs = static_cast<u16>(frame.cs);
    r.rflags = (frame.eflags & kFlagsOfGuest) | kFlagIf | kFlagFixed;
    r.vector = 0;
    if (target.to_user) {
        r.rsp = frame.esp;
        r.ss = static_cast<u16>(frame.ss);
    } else {
        r.rsp = static_cast<u32>(r.rsp + offsetof(Iret32Frame, esp));
    }
    return target;
}

Result<> iret32(Vcpu& v, GuestRegs& regs) {
    const GuestIn<u32> stack(static_cast<u32>(regs.rsp));
    Iret32Frame frame{};
    constexpr usize kInner = offsetof(Iret32Frame, esp) / sizeof(u32), kOuter = sizeof(frame) / sizeof(u32);
    u32 words[kOuter]{};
    TRY(stack.read(0, words, kInner));
    // The rest is there only if the guest goes to an outer ring.
    if ((words[2] & 3) != 1) TRY(stack.read(kInner, words + kInner, kOuter - kInner));
    std::memcpy(&frame, words, sizeof frame);
    const IretTarget target = TRY(load_iret32_frame(regs, frame));
    v.pv.in_kernel = !target.to_user;
    v.pv.in_nmi = false;
    if ((v.domain->vm_assist & (u64{1} << VMASST_TYPE_architectural_iopl)) != 0) v.pv.iopl = target.iopl;
    std::atomic_ref(v.info->evtchn_upcall_mask)
        .store(target.events_masked ? 1 : 0, std::memory_order_release);
    return {};
}

}  // namespace domus::pv
