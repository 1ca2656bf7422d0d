// SPDX-License-Identifier: GPL-2.0-or-later
// Instructions of a PV guest's kernel that the hypervisor carries out for it.
#pragma once

#include "arch_state/regs.hpp"
#include "base/types.hpp"

namespace domus {

struct Vcpu;

namespace pv {

struct EmulateResult {
    enum class Action : u8 {
        none,    // not ours: the guest gets its exception
        done,    // carried out; RIP is behind it
        retry,   // preempted: RIP is still on it (a string instruction may have advanced)
        inject,  // raise `vector` in the guest, RIP where that exception wants it
    } action = Action::none;
    u8 vector = 0;
    u32 error_code = 0;
    u64 address = 0;  // CR2 of a page fault

    static constexpr EmulateResult trap(Trap t, u32 code = 0, u64 cr2 = 0) {
        return {Action::inject, static_cast<u8>(t), code, cr2};
    }
};

// #GP(0) in the guest. Never answers none: what is not to be emulated is injected as #GP(0).
EmulateResult emulate_privileged(Vcpu& v, GuestRegs& regs);

// #UD: the ABI's forced emulation prefix (UD2, "xen") before CPUID.
EmulateResult emulate_forced(Vcpu& v, GuestRegs& regs);

// A write of the guest's kernel to a page that is mapped read-only because it is a page table.
EmulateResult emulate_pte_write(Vcpu& v, GuestRegs& regs, Vaddr fault);

}  // namespace pv
}  // namespace domus
