/* SPDX-License-Identifier: GPL-2.0-or-later
 * Where a test kernel is entered: its start, exceptions, events and system calls; and the jumps that leave a fault behind. Frames are those of
 * public arch-x86/xen-x86_64.h. */
#include "lib/stack_size.hpp"
#define HYPERVISOR_IRET 23

.macro NOTE type, value:vararg
        .pushsection .note.Xen, "a", @note
        .balign 4
        .long   4, 2f - 1f, \type
        .asciz  "Xen"
1:      \value
2:      .balign 4
        .popsection
.endm
        NOTE 1, .quad guest_start               /* entry */
        NOTE 2, .quad hypercall_page
        NOTE 3, .quad 0xffffffff80000000        /* virtual base */
        NOTE 4, .quad 0                         /* offset of physical addresses in the image */
        NOTE 5, .asciz "xen-3.0"
        NOTE 6, .asciz "domus-test"
        NOTE 8, .asciz "generic"
        NOTE 9, .asciz "yes"                    /* PAE */
        NOTE 12, .quad 0xffff800000000000       /* lowest address of the hypervisor */

        .section .hypercall_page, "ax"
        .balign 4096
        .globl  hypercall_page
hypercall_page:
        .fill   4096, 1, 0xcc

        .text
        .globl  guest_start
guest_start:
        cld
        leaq    cpu_stacks + CPU_STACK_SIZE(%rip), %rsp
        xorl    %ebp, %ebp
        movq    %rsi, %rdi
        call    guest_main
        ud2

/* The first steps of another vCPU; its context has set RSP. */
        .globl  vcpu_start
vcpu_start:
        cld
        xorl    %ebp, %ebp
        call    vcpu_main
        ud2

.macro ENTRY number, has_error
        popq    %rcx
        popq    %r11
        .if     \has_error == 0
        pushq   $0
        .endif
        pushq   $\number
        jmp     entry_common
.endm

        .balign 16
        .globl  entry_stubs
entry_stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
        ENTRY   vector, 1
        .else
        ENTRY   vector, 0
        .endif
        .set    vector, vector + 1
        .endr

        .balign 16
        .globl  event_entry, nmi_entry, syscall_from_user, failsafe_entry
event_entry:
        ENTRY   256, 0
nmi_entry:
        ENTRY   257, 0
syscall_from_user:
        ENTRY   258, 0
failsafe_entry:                         /* rcx, r11, ds, es, fs, gs and then as the others */
        popq    %rcx
        popq    %r11
        popq    failsafe_selectors
        popq    failsafe_selectors + 8
        popq    failsafe_selectors + 16
        popq    failsafe_selectors + 24
        pushq   $0
        pushq   $259
        jmp     entry_common

entry_common:
        cld
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        pushq   %rcx
        pushq   %rax
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, %rdi
        call    handle_entry
        .globl  leave_entry
leave_entry:
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rax
        popq    %rcx
        popq    %rdx
        popq    %rsi
        popq    %rdi
        addq    $16, %rsp
        pushq   $0                      /* struct iret_context: flags, rcx, r11, rax */
        pushq   %rcx
        pushq   %r11
        pushq   %rax
        movl    $HYPERVISOR_IRET, %eax
        syscall
        ud2

/* void enter_user(const Frame* frame): goes on as the frame says. It is copied to our stack: below it the hypercall puts more. */
        .globl  enter_user
enter_user:
        subq    $22 * 8, %rsp
        movq    %rdi, %rsi
        movq    %rsp, %rdi
        movl    $22, %ecx
        cld
        rep movsq
        jmp     leave_entry

/* int mark_place(Place*): 0; and once more 1, when a fault goes back there (guest::attempt). */
        .globl  mark_place
mark_place:
        movq    (%rsp), %rax
        movq    %rax, (%rdi)
        leaq    8(%rsp), %rax
        movq    %rax, 8(%rdi)
        movq    %rbx, 16(%rdi)
        movq    %rbp, 24(%rdi)
        movq    %r12, 32(%rdi)
        movq    %r13, 40(%rdi)
        movq    %r14, 48(%rdi)
        movq    %r15, 56(%rdi)
        xorl    %eax, %eax
        ret

        .section .note.GNU-stack, "", @progbits
