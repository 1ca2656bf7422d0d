/* SPDX-License-Identifier: GPL-2.0-or-later
 * Where a CPU starts after a start-up request: in real mode, at the start of a page below 1 MiB to which C++ has copied this
 * (Intel SDM vol. 3, 9.4.4). It goes to long mode with tables that map the page where it is, and calls start_this_cpu() on its stack.
 */
#include "arch/trampoline.hpp"

#define DATA(field) (TRAMPOLINE_DATA + TRAMPOLINE_##field)

        .section .rodata, "a"
        .balign 16
        .globl trampoline_start, trampoline_end
trampoline_start:
        .code16
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        movzwl  %ax, %ebx
        shll    $4, %ebx                        /* EBX: the page's address */
        lgdtl   DATA(GDT_POINTER)
        movl    $0x11, %eax                     /* CR0: PE, ET */
        movl    %eax, %cr0
        ljmpl   *DATA(PROTECTED)

        .code32
.Lprotected:
        movl    $16, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $0x20, %eax                     /* CR4: PAE */
        movl    %eax, %cr4
        movl    DATA(CR3)(%ebx), %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx               /* EFER: LME, NXE, SCE */
        rdmsr
        orl     $0x901, %eax
        wrmsr
        movl    $0x80010033, %eax               /* CR0: PG, WP, NE, ET, MP, PE */
        movl    %eax, %cr0
        ljmpl   *DATA(LONG)(%ebx)

        .code64
.Llong:
        movl    %ebx, %ebx                      /* the upper half is undefined after the switch */
        movq    DATA(STACK)(%rbx), %rsp
        movl    DATA(CPU)(%rbx), %edi
        xorl    %ebp, %ebp
        call    *DATA(ENTRY)(%rbx)
        ud2

        .org    trampoline_start + TRAMPOLINE_DATA
        .short  0                               /* GDT pointer, filled in by C++ */
        .long   0
        .short  0
        .long   0
        .long   .Lprotected - trampoline_start
        .long   24
        .long   .Llong - trampoline_start
        .long   8
        .long   0
        .quad   0
        .quad   0
        .quad   0
        .quad   0x00af9a000000ffff              /* 8: 64-bit code */
        .quad   0x00cf92000000ffff              /* 16: data */
        .quad   0x00cf9a000000ffff              /* 24: 32-bit code */
trampoline_end:

        .section .note.GNU-stack, "", @progbits
