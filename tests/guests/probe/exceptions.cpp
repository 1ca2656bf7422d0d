// SPDX-License-Identifier: GPL-2.0-or-later
// Exceptions: each arrives by its own entry, with the frame of the ABI.
#include "probe/probe.hpp"

namespace probe {

namespace {

void check_frame(const char* name, const Fault& f, u64 vector, u64 error, usize at) {
    check_equal(name, f.vector, vector);
    check_equal("... its error code", f.error, error);
    check_equal("... its RIP", f.frame.rip, code_address() + at);
    // Kernel mode shows as privilege level 0; the upper half has the event mask.
    check_equal("... its CS", f.frame.cs & 0xffff, FLAT_KERNEL_CS & ~3u);
    check_equal("... its SS", f.frame.ss | 3, FLAT_KERNEL_SS);
}

volatile u64* const kNowhere = reinterpret_cast<volatile u64*>(0xffffc00000000000);

}  // namespace

void check_exceptions() {
    Registers r;
    check_frame("divide error", run_bytes({0x31, 0xc9, 0xf7, 0xf1}, r), kDivideError, 0, 2);
    check_frame("breakpoint", run_bytes({0xcc}, r), kBreakpoint, 0, 1);
    check_frame("invalid opcode", run_bytes({}, r), kInvalidOpcode, 0, 0);
    check_frame("INT 0x80", run_bytes({0xcd, 0x80}, r), 0x80, 0, 2);
    check_frame("INT 3, long form", run_bytes({0xcd, 0x03}, r), kBreakpoint, 0, 2);
    check_frame("INT of a vector without handler", run_bytes({0xcd, 0x90}, r), kGeneralProtection,
                0x90 * 8 + 2, 0);
    check_frame("HLT", run_bytes({0xf4}, r), kGeneralProtection, 0, 0);
    r.rax = 0x8000000000000000;
    check_frame("a non-canonical address", run_bytes({0x8a, 0x00}, r), kGeneralProtection, 0, 0);
    r.rax = 0x4b;  // beyond an empty table
    check_frame("a selector beyond the table", run_bytes({0x8e, 0xd8}, r), kGeneralProtection, 0x48, 0);

    const auto page_fault = [](const char* name, auto f, u64 error, u64 address) {
        const auto fault = attempt(f);
        check_equal(name, fault ? fault->vector : 0, kPageFault);
        check_equal("... its error code", fault ? fault->error : 0, error);
        check_equal("... its address", fault ? fault->address : 0, address);
    };
    const u64 nowhere = reinterpret_cast<u64>(kNowhere);
    page_fault("a read of nothing", [] { static_cast<void>(*kNowhere); }, 0, nowhere);
    page_fault("a write to nothing", [] { *kNowhere = 1; }, 2, nowhere);
    const u64 table = kDirect + pfn_of_machine(kernel_root()) * kPageSize;
    page_fault("a write to a level 4 table", [=] { *reinterpret_cast<volatile u64*>(table) = 0; }, 3, table);
    // The machine-to-physical table is there to be read.
    page_fault(
        "a write to the machine-to-physical table",
        [] { *reinterpret_cast<volatile u64*>(u64{MACH2PHYS_VIRT_START} + 0x1000 * 8) = 0; }, 3,
        MACH2PHYS_VIRT_START + 0x1000 * 8);
    const auto hypervisor =
        attempt([] { static_cast<void>(*reinterpret_cast<volatile u64*>(0xffff830000000000)); });
    check_equal("the hypervisor's memory", hypervisor ? hypervisor->vector : 0, kPageFault);
}

}  // namespace probe
