/* SPDX-License-Identifier: GPL-2.0-or-later
 * Where the 32-bit test kernel is entered: its start, exceptions, events. Frames are those of public arch-x86/xen-x86_32.h. */
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
        NOTE 1, .long guest_start               /* entry */
        NOTE 2, .long hypercall_page
        NOTE 3, .long 0xc0000000                /* virtual base */
        NOTE 4, .long 0                         /* offset of physical addresses in the image */
        NOTE 5, .asciz "xen-3.0"
        NOTE 6, .asciz "domus-test"
        NOTE 8, .asciz "generic"
        NOTE 9, .asciz "yes"                    /* PAE */
        NOTE 12, .long 0xf5800000               /* lowest address of the hypervisor */

        .section .hypercall_page, "ax"
        .balign 4096
        .globl  hypercall_page
hypercall_page:
        .fill   4096, 1, 0xcc

        .text
        .globl  guest_start
guest_start:
        cld
        movl    $boot_stack + 16384, %esp
        xorl    %ebp, %ebp
        pushl   %esi
        call    guest_main
        ud2

        .globl  vcpu_start
vcpu_start:
        cld
        call    vcpu_main
        ud2

.macro ENTRY number, has_error
        .if     \has_error == 0
        pushl   $0
        .endif
        pushl   $\number
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
        .globl  event_entry, failsafe_entry
event_entry:
        ENTRY   256, 0
failsafe_entry:                         /* ds, es, fs, gs and then as the others */
        addl    $16, %esp
        ENTRY   257, 0

entry_common:
        cld
        pushl   %ds
        pushl   %es
        pushal
        movl    $0xe021, %eax
        movl    %eax, %ds
        movl    %eax, %es
        pushl   %esp
        call    handle_entry
        addl    $4, %esp
        popal
        popl    %es
        popl    %ds
        addl    $8, %esp                /* vector and error code: eip, cs, eflags follow, which the hypercall takes behind eax */
        pushl   %eax
        movl    $HYPERVISOR_IRET, %eax
        int     $0x82
        ud2

/* int attempt(void (*f)(void)): 0, or 1 when an exception ended it (handle_entry goes to attempt_failed with the stack of then). */
        .globl  attempt, attempt_failed, attempt_stack
attempt:
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        pushl   %ebp
        movl    %esp, attempt_stack
        call    *20(%esp)
        xorl    %eax, %eax
        jmp     1f
attempt_failed:
        movl    attempt_stack, %esp
        movl    $1, %eax
1:      movl    $0, attempt_stack
        popl    %ebp
        popl    %edi
        popl    %esi
        popl    %ebx
        ret

        .bss
        .balign 16
        .globl  boot_stack, kernel_stack, user_stack
boot_stack:
        .skip   16384
attempt_stack:
        .skip   16
        .balign 4096
kernel_stack:
        .skip   8192
user_stack:
        .skip   4096
        .section .note.GNU-stack, "", @progbits
