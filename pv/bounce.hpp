// SPDX-License-Identifier: GPL-2.0-or-later
// Entering a PV guest's kernel at one of its handlers, with the frame of the ABI on its stack (public
// arch-x86/xen-x86_64.h).
#pragma once

#include <optional>

#include "arch_state/regs.hpp"
#include "base/types.hpp"

namespace domus {

struct Vcpu;

namespace pv {

struct Bounce {
    u64 rip = 0;
    u16 cs = 0;  // 0: the ABI's flat 64-bit kernel segment
    bool masks_events = false;
    std::optional<u32> error_code{};
    // The failsafe callback's frame has DS, ES, FS and GS behind R11, as they were to be: its handler tells
    // by them which no longer loads.
    bool selectors = false;
};

// Pushes the frame {rcx, r11, [ds, es, fs, gs], [error code], rip, cs and saved event mask, rflags, rsp, ss}
// on the guest's kernel stack (its current one if it is in kernel mode) and points `regs` at the handler. A
// guest whose stack or handler cannot be used is crashed, with the reason in the log.
void bounce(Vcpu& v, GuestRegs& regs, const Bounce& to);

// Enters the handler of an exception or software interrupt in the guest's trap table.
void inject_trap(Vcpu& v, GuestRegs& regs, u8 vector, std::optional<u32> error_code);
// A page fault: CR2 is the guest's first, and the error code's user bit says which of its modes faulted.
void inject_page_fault(Vcpu& v, GuestRegs& regs, u32 error_code, u64 address);

// The flags a guest may have while it runs: interrupts are on, I/O goes through us.
constexpr u64 kGuestFlags = 0x00254dd5u;
constexpr u64 sanitise_flags(u64 flags) { return (flags & kGuestFlags) | kFlagFixed | kFlagIf; }

}  // namespace pv
}  // namespace domus
