// SPDX-License-Identifier: GPL-2.0-or-later
// Privileged instructions that the hypervisor carries out, or refuses as #GP.
#include "probe/probe.hpp"

namespace probe {

namespace {

void set_iopl(u32 level) {
    physdev_set_iopl_t arg{.iopl = level};
    operate(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, arg);
}

void refused(const char* name, std::initializer_list<u8> bytes, Registers r = {}) {
    const Fault f = run_bytes(bytes, r);
    check(name, f.vector == kGeneralProtection && f.frame.rip == code_address(), f.vector,
          kGeneralProtection);
}
bool done(const char* name, std::initializer_list<u8> bytes, Registers& r) {
    const Fault f = run_bytes(bytes, r);
    check(name, completed(f, bytes.size()), f.vector, kInvalidOpcode);
    return completed(f, bytes.size());
}

}  // namespace

void check_privileged() {
    Registers r;
    done("mov rax, cr0", {0x0f, 0x20, 0xc0}, r);
    check("... paging and protection are on", (r.rax & 0x80000001) == 0x80000001, r.rax);
    done("mov cr0, rax of the same value", {0x0f, 0x22, 0xc0}, r);
    refused("mov cr0, rax without paging", {0x0f, 0x22, 0xc0}, {.rax = r.rax & ~0x80000000u});
    r = {.rax = 0xabc000};
    done("mov cr2, rax", {0x0f, 0x22, 0xd0}, r);
    r = {};
    done("mov rax, cr2", {0x0f, 0x20, 0xd0}, r);
    check_equal("... is what was written", r.rax, 0xabc000);
    done("mov rax, cr3", {0x0f, 0x20, 0xd8}, r);
    check_equal("... is the kernel's table", xen_cr3_to_pfn(r.rax), kernel_root().v);
    done("mov rax, cr4", {0x0f, 0x20, 0xe0}, r);
    refused("mov rax, cr1", {0x0f, 0x20, 0xc8});
    done("clts", {0x0f, 0x06}, r);
    done("wbinvd", {0x0f, 0x09}, r);

    // TS: the first use of the vector unit faults once, and the hypervisor clears it on the way.
    hypercall(__HYPERVISOR_fpu_taskswitch, 1);
    Fault f = run_bytes({0xdb, 0xe3}, r);
    check_equal("fninit with TS", f.vector, kNoDevice);
    done("... and again", {0xdb, 0xe3}, r);

    r = {.rcx = 0xc0000080};
    done("rdmsr of EFER", {0x0f, 0x32}, r);
    check("... long mode is active, NX is on", (r.rax & 0xd00) == 0xd00, r.rax);
    refused("rdmsr of no register", {0x0f, 0x32}, {.rcx = 0x4fff'ffff});
    refused("wrmsr of no register", {0x0f, 0x30}, {.rcx = 0x4fff'ffff});
    r = {.rax = 0x5000, .rcx = 0xc0000100, .rdx = 0x7f00};
    done("wrmsr of the FS base", {0x0f, 0x30}, r);
    r = {.rcx = 0xc0000100};
    done("rdmsr of the FS base", {0x0f, 0x32}, r);
    check_equal("... is what was written", r.rdx << 32 | r.rax, 0x7f0000005000);
    refused("wrmsr of a non-canonical FS base", {0x0f, 0x30}, {.rcx = 0xc0000100, .rdx = 0x80000000});
    r = {.rcx = 0xc0000100};
    done("wrmsr of FS base 0", {0x0f, 0x30}, r);

    set_iopl(0);
    refused("in al, 0x80 without privilege", {0xe4, 0x80});
    refused("cli without privilege", {0xfa});
    set_iopl(1);
    r = {.rax = ~u64{0}};
    done("in al, 0x80", {0xe4, 0x80}, r);
    check_equal("... changes AL alone", r.rax >> 8, ~u64{0} >> 8);
    done("in eax, 0x80", {0xe5, 0x80}, r);
    check_equal("... clears the upper half", r.rax >> 32, 0);
    done("out 0x80, al", {0xe6, 0x80}, r);
    done("cli", {0xfa}, r);
    done("sti", {0xfb}, r);
    refused("lock; cli", {0xf0, 0xfa});

    refused("lgdt", {0x0f, 0x01, 0x10}, {.rax = code_address()});
    refused("ltr", {0x0f, 0x00, 0xd8});
    refused("rdpmc", {0x0f, 0x33});
    refused("swapgs", {0x0f, 0x01, 0xf8});

    r = {.rax = 0x40000000};
    done("forced cpuid", {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2}, r);
    check_equal("... is of a hypervisor of this ABI", r.rbx, 0x566e6558);
}

}  // namespace probe
