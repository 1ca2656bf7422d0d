// SPDX-License-Identifier: GPL-2.0-or-later
// The iret hypercall's variants, and the failsafe callback for frames that cannot be.
#include "probe/probe.hpp"

namespace probe {

namespace {

// Goes to `code` by the iret hypercall with this CS, SS and flags; returns the fault that ends it.
Fault return_to(u64 rip, u64 cs, u64 ss, u64 flags, u64 context_flags = 0) {
    // On this vCPU's own stack, well below what is in use: entries find their vCPU by it.
    u64 sp;
    asm("movq %%rsp, %0" : "=r"(sp));
    u64* const frame = reinterpret_cast<u64*>((sp & ~u64{15}) - 4096);
    frame[0] = 0xa0a0;  // rax
    frame[1] = 0xb0b0;  // r11
    frame[2] = 0xc0c0;  // rcx
    frame[3] = context_flags;
    frame[4] = rip;
    frame[5] = cs;
    frame[6] = flags;
    frame[7] = reinterpret_cast<u64>(frame) - 1024;
    frame[8] = ss;
    const auto fault = attempt([=] {
        asm volatile(
            "movq %0, %%rsp\n\t"
            "movl $23, %%eax\n\t"
            "syscall\n\t"
            "ud2"
            :
            : "r"(frame)
            : "memory");
    });
    return *fault;
}

constexpr u64 kIf = 0x200;

}  // namespace

void check_returns() {
    Registers r;
    run_bytes({0x90}, r);  // NOP; UD2
    const u64 there = code_address();
    constexpr u64 kCs = FLAT_KERNEL_CS & ~3u, kSs = FLAT_KERNEL_SS;

    Fault f = return_to(there, kCs, kSs, kIf);
    check_equal("iret to the kernel", f.vector, kInvalidOpcode);
    check_equal("... goes where it says", f.frame.rip, there + 1);
    check_equal("... RAX", f.frame.rax, 0xa0a0);
    check_equal("... RCX", f.frame.rcx, 0xc0c0);
    check_equal("... R11", f.frame.r11, 0xb0b0);
    check_equal("... events are open", guest::vcpu_info(0).evtchn_upcall_mask, 0);
    check_equal("... IF in the next frame", f.frame.rflags & kIf, kIf);

    f = return_to(there, kCs, kSs, 0);
    check_equal("iret with IF clear masks events: IF in the next frame", f.frame.rflags & kIf, 0);
    check_equal("... and the mask beside CS", f.frame.cs >> 32 & 0xff, 1);
    guest::vcpu_info(0).evtchn_upcall_mask = 0;

    f = return_to(there, kCs, kSs, kIf | 0x7000 | 0x20000 | 0x180000);
    check_equal("iret takes neither IOPL 3, NT, VM nor the virtual interrupt flags",
                f.frame.rflags & 0x1a4000, 0);
    f = return_to(there, kCs, kSs, kIf | 0xcd5);
    check_equal("iret takes the arithmetic flags and DF", f.frame.rflags & 0xcd5, 0xcd5);
    f = return_to(there, kCs, kSs, kIf | 0x100);
    check_equal("iret with TF: one step", f.vector, kDebug);
    check_equal("... over one instruction", f.frame.rip, there + 1);

    // Selectors that cannot be: the failsafe callback, which tells of the frame.
    const u64 before = this_cpu().entries[kFailsafeEntry];
    f = return_to(there, 0x4b & ~3u, kSs, kIf);
    check_equal("iret to a CS beyond the table: the failsafe callback", f.vector, kFailsafeEntry);
    check_equal("... RIP of the frame that failed", f.frame.rip, there);
    f = return_to(there, 0, kSs, kIf);
    check_equal("iret to a null CS: the failsafe callback", f.vector, kFailsafeEntry);
    f = return_to(there, kCs, 0x53, kIf);
    check_equal("iret to an SS beyond the table: the failsafe callback", f.vector, kFailsafeEntry);
    check_equal("... each once", this_cpu().entries[kFailsafeEntry] - before, 3);

    f = return_to(0x7fffffffe000, kCs, kSs, kIf);
    check_equal("iret to an address that is not mapped", f.vector, kPageFault);
    check_equal("... its address", f.address, 0x7fffffffe000);
    f = return_to(0xffff830000000000, kCs, kSs, kIf);
    check_equal("iret into the hypervisor", f.vector, kPageFault);
}

}  // namespace probe
