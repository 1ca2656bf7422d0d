// SPDX-License-Identifier: GPL-2.0-or-later
// A guest that checks the PV ABI from a kernel's side. It runs on any hypervisor that has that ABI: what
// fails on Domus and not on the reference is Domus's fault, what fails on both is this program's.
#include "base/assert.hpp"
#include "probe/probe.hpp"

extern "C" void probe_run_code(guest::u64* registers, guest::u64 rip);
asm(R"(
        .text
        .globl probe_run_code
probe_run_code:
        movq    %rsi, %r11
        movq    0(%rdi), %rax
        movq    8(%rdi), %rbx
        movq    16(%rdi), %rcx
        movq    24(%rdi), %rdx
        jmp     *%r11
)");

namespace probe {

namespace {

u32 good = 0, bad = 0;
alignas(kPageSize) u8 code[kPageSize];

}  // namespace

void check(const char* name, bool ok, u64 found, u64 wanted) {
    ok ? good++ : bad++;
    if (ok)
        say("probe: ok {}", name);
    else
        say("probe: FAIL {}: {:#x} instead of {:#x}", name, found, wanted);
}

u64 code_address() { return reinterpret_cast<u64>(code); }

Fault run_bytes(std::initializer_list<u8> bytes, Registers& registers) {
    usize n = 0;
    for (const u8 b : bytes) code[n++] = b;
    code[n++] = 0x0f, code[n++] = 0x0b;
    u64 values[] = {registers.rax, registers.rbx, registers.rcx, registers.rdx};
    const auto fault = attempt([&] { probe_run_code(values, code_address()); });
    if (!fault) panic("code without an end");
    const Frame& f = fault->frame;
    registers = {.rax = f.rax, .rbx = f.rbx, .rcx = f.rcx, .rdx = f.rdx};
    return *fault;
}

bool completed(const Fault& f, usize length) {
    return f.vector == kInvalidOpcode && f.frame.rip == code_address() + length;
}

}  // namespace probe

void guest::run(const start_info_t&) {
    using namespace probe;
    const u32 cpus = vcpu_count();
    say("probe: {} vCPUs, {} pages", cpus, page_count());
    check_exceptions();
    check_privileged();
    check_returns();
    check_segments();
    check_debug();
    check_tables();
    check_cpus(cpus);
    say("probe: complete, {} ok, {} failed", good, bad);
}
