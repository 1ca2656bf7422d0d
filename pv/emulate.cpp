// SPDX-License-Identifier: GPL-2.0-or-later
// Which instructions are emulated, and by whom.
#include "pv/emulate.hpp"

#include "core/domain.hpp"
#include "port/cpuid.hpp"
#include "port/guest_memory.hpp"

namespace domus::pv {

EmulateResult emulate_privileged(Vcpu&, GuestRegs&) { return EmulateResult::trap(Trap::general_protection); }

EmulateResult emulate_forced(Vcpu&, GuestRegs& regs) {
    // UD2, "xen", CPUID (public arch-x86/xen.h, XEN_EMULATE_PREFIX).
    static constexpr u8 kCode[7] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
    u8 code[sizeof kCode];
    if (port::copy_from_guest(code, Vaddr(regs.rip), sizeof code) != 0) return {};
    if (__builtin_memcmp(code, kCode, sizeof code) != 0) return {};
    const CpuidLeaf leaf = port::cpuid(static_cast<u32>(regs.rax), static_cast<u32>(regs.rcx));
    regs.rax = leaf.eax;
    regs.rbx = leaf.ebx;
    regs.rcx = leaf.ecx;
    regs.rdx = leaf.edx;
    regs.rip += sizeof code;
    return {.action = EmulateResult::Action::done};
}

EmulateResult emulate_pte_write(Vcpu&, GuestRegs&, Vaddr) { return {}; }

}  // namespace domus::pv
