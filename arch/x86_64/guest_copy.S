/* SPDX-License-Identifier: GPL-2.0-or-later
 * Copies between the hypervisor and the guest's address space. A fault at one of the marked instructions resumes at its landing (extable.cpp), so
 * that RCX tells how much was left. Callers have checked the address range. Only here, between ALLOW_USER_ACCESS and FORBID_USER_ACCESS, are
 * user-accessible pages touched.
 *
 *   size_t raw_copy(void* to, const void* from, size_t n)      returns the bytes not copied
 *   size_t raw_clear(void* to, size_t n)
 */
#include "arch/patch.inc"

.macro MAY_FAULT at, landing
        .pushsection .extable, "a"
        .quad   \at, \landing
        .popsection
.endm

        .text
        .globl raw_copy
raw_copy:
        movq    %rdx, %rcx
        andl    $7, %edx
        shrq    $3, %rcx
        ALLOW_USER_ACCESS
        jz      2f
1:      rep movsq
2:      movl    %edx, %ecx
        testl   %edx, %edx
        jz      5f
3:      rep movsb
5:      FORBID_USER_ACCESS
        movq    %rcx, %rax
        ret
4:      FORBID_USER_ACCESS
        leaq    (%rdx, %rcx, 8), %rax   /* words left, and the tail */
        ret
        MAY_FAULT 1b, 4b
        MAY_FAULT 3b, 5b

        .globl raw_copy8
raw_copy8:                              /* exactly eight bytes */
        ALLOW_USER_ACCESS
1:      movq    (%rsi), %rax
2:      movq    %rax, (%rdi)
        FORBID_USER_ACCESS
        xorl    %eax, %eax
        ret
3:      FORBID_USER_ACCESS
        movl    $8, %eax
        ret
        MAY_FAULT 1b, 3b
        MAY_FAULT 2b, 3b

        .globl raw_clear
raw_clear:
        movq    %rsi, %rcx
        xorl    %eax, %eax
        ALLOW_USER_ACCESS
1:      rep stosb
2:      FORBID_USER_ACCESS
        movq    %rcx, %rax
        ret
        MAY_FAULT 1b, 2b

/* bool load_fs/gs/ds/es(u16): false if the selector faults (then the register is left null by the caller). */
.macro LOAD_SELECTOR reg
        .globl load_\reg
load_\reg:
1:      movl    %edi, %\reg
        movl    $1, %eax
        ret
2:      xorl    %eax, %eax
        movl    %eax, %\reg
        ret
        MAY_FAULT 1b, 2b
.endm
        LOAD_SELECTOR ds
        LOAD_SELECTOR es
        LOAD_SELECTOR fs
        LOAD_SELECTOR gs

/* bool probe_rdmsr(u32 msr, u64* value), bool probe_wrmsr(u32 msr, u64 value): false where the CPU refuses. */
        .globl probe_rdmsr
probe_rdmsr:
        movl    %edi, %ecx
1:      rdmsr
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, (%rsi)
        movl    $1, %eax
        ret
        .globl probe_wrmsr
probe_wrmsr:
        movl    %edi, %ecx
        movl    %esi, %eax
        movq    %rsi, %rdx
        shrq    $32, %rdx
3:      wrmsr
        movl    $1, %eax
        ret
2:      xorl    %eax, %eax
        ret
        MAY_FAULT 1b, 2b
        MAY_FAULT 3b, 2b

        .section .note.GNU-stack, "", @progbits
