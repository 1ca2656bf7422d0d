// SPDX-License-Identifier: GPL-2.0-or-later
// The iret hypercall: the guest kernel returns to where the frame on its stack says (public
// arch-x86/xen-x86_64.h, struct iret_context).
#pragma once

#include "abi/xen.hpp"
#include "arch_state/regs.hpp"
#include "base/result.hpp"
#include "core/vcpu.hpp"

namespace domus::pv {

// What a frame asks for beyond registers.
struct IretTarget {
    bool to_user = false;  // leave guest kernel mode
    bool events_masked = false;
    u32 iopl = 0;  // I/O privilege level in the frame; counts for guests with VMASST_TYPE_architectural_iopl
};

// Sets the registers to what the frame says, in place: every exception of a guest ends here. EINVAL, and
// nothing changed: an instruction pointer that is not canonical.
Result<IretTarget> load_iret_frame(GuestRegs& r, const iret_context& frame);

// … of a 32-bit guest: EAX, EIP, CS, EFLAGS and, for ring 3, ESP and SS.
struct Iret32Frame {
    u32 eax, eip, cs, eflags, esp, ss;
};
// EINVAL, and nothing changed: to ring 0, or to virtual-8086 mode, which 64-bit processors do not have.
Result<IretTarget> load_iret32_frame(GuestRegs& r, const Iret32Frame& frame);
Result<> iret32(Vcpu& v, GuestRegs& regs);

// The whole operation on the current vCPU. The error, EFAULT for an unreadable frame or as above, means that
// the domain has to be crashed: there is nowhere to return to.
Result<> iret(Vcpu& v, GuestRegs& regs);

}  // namespace domus::pv
