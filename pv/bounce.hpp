// SPDX-License-Identifier: GPL-2.0-or-later
// Entering a PV guest's kernel at one of its handlers, with the frame of the ABI on its stack (public
// arch-x86/xen-x86_64.h and xen-x86_32.h).
#pragma once

#include <optional>

#include "arch_state/regs.hpp"
#include "base/types.hpp"

namespace domus {

struct Vcpu;

namespace pv {

struct Bounce {
    u64 rip = 0;
    u16 cs = 0;  // 0: the ABI's flat kernel segment
    bool masks_events = false;
    std::optional<u32> error_code{};
    // The failsafe callback's frame has DS, ES, FS and GS behind R11, as they were to be: its handler tells
    // by them which no longer loads.
    bool selectors = false;
};

// The two kinds of guests, for what is decided once on the way in.
struct Guest64 {};
struct Guest32 {};

// 64-bit: pushes the frame {rcx, r11, [ds, es, fs, gs], [error code], rip, cs and saved event mask, rflags,
// rsp, ss} on the guest's kernel stack (its current one if it is in kernel mode) and points `regs` at the
// handler. A guest whose stack or handler cannot be used is crashed, with the reason in the log.
//
// 32-bit: {[ds, es, fs, gs], [error code], eip, cs and in its third byte the saved event mask, eflags} as
// 32-bit words, and {esp, ss} behind them if the guest was not in ring 1. The stack segment is taken to be
// flat.
template <class G>
void bounce_as(Vcpu& v, GuestRegs& regs, const Bounce& to);
void bounce(Vcpu& v, GuestRegs& regs, const Bounce& to);  // as the vCPU is

// Enters the handler of an exception or software interrupt in the guest's trap table.
template <class G>
void inject_trap_as(Vcpu& v, GuestRegs& regs, u8 vector, std::optional<u32> error_code);
void inject_trap(Vcpu& v, GuestRegs& regs, u8 vector, std::optional<u32> error_code);
// A page fault: CR2 is the guest's first, and the error code's user bit says which of its modes faulted.
template <class G>
void inject_page_fault_as(Vcpu& v, GuestRegs& regs, u32 error_code, u64 address);
void inject_page_fault(Vcpu& v, GuestRegs& regs, u32 error_code, u64 address);

// The flags a guest may have while it runs: interrupts are on, I/O goes through us.
constexpr u64 kGuestFlags = 0x00254dd5u;
constexpr u64 sanitise_flags(u64 flags) { return (flags & kGuestFlags) | kFlagFixed | kFlagIf; }

}  // namespace pv
}  // namespace domus
