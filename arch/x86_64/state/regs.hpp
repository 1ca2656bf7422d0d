// SPDX-License-Identifier: GPL-2.0-or-later
// The register frame of a guest, or of whatever an exception interrupted, as the entry stubs lay it out.
#pragma once

#include "base/types.hpp"

namespace domus {

struct GuestRegs {
    u64 r15, r14, r13, r12, rbp, rbx;
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u32 error_code;  // pushed by the CPU, or 0
    u32 vector;      // exception or interrupt vector; kSyscallVector for SYSCALL
    u64 rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(GuestRegs) == 21 * 8);

inline constexpr u32 kSyscallVector = 0x100;  // entered by SYSCALL, not through the IDT

// RFLAGS (AMD APM vol. 2, 3.1.6).
inline constexpr u64 kFlagCf = 1u << 0, kFlagFixed = 1u << 1, kFlagTf = 1u << 8, kFlagIf = 1u << 9,
                     kFlagDf = 1u << 10, kFlagIopl = 3u << 12, kFlagNt = 1u << 14, kFlagRf = 1u << 16,
                     kFlagVm = 1u << 17, kFlagAc = 1u << 18, kFlagVif = 1u << 19, kFlagVip = 1u << 20,
                     kFlagId = 1u << 21;

// Exception vectors (AMD APM vol. 2, 8.2).
enum class Trap : u8 {
    divide_error = 0,
    debug = 1,
    nmi = 2,
    breakpoint = 3,
    overflow = 4,
    bound = 5,
    invalid_opcode = 6,
    no_device = 7,
    double_fault = 8,
    invalid_tss = 10,
    no_segment = 11,
    stack_fault = 12,
    general_protection = 13,
    page_fault = 14,
    fpu_error = 16,
    alignment = 17,
    machine_check = 18,
    simd_error = 19,
};

// Page-fault error code (AMD APM vol. 2, 8.4.2).
inline constexpr u32 kPfPresent = 1u << 0, kPfWrite = 1u << 1, kPfUser = 1u << 2, kPfReserved = 1u << 3,
                     kPfFetch = 1u << 4;

}  // namespace domus
