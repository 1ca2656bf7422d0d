/* SPDX-License-Identifier: GPL-2.0-or-later
 * From the boot loader's 32-bit hand-over (multiboot 1, 3.2; multiboot 2, 3.3) to C++ in long mode.
 *
 * The image is loaded and runs at its link-time physical address. Boot page tables map the first 4 GiB three times: where they are, at
 * the direct map, and (the first 1 GiB, shifted) at the image's virtual address. C++ replaces them at once.
 */
#include "arch_state/offsets.hpp"

#define IMAGE_BASE 0xffff828000000000
#define PHYS_BASE  0x200000
#define PHYS(sym)  (sym - IMAGE_BASE + PHYS_BASE)

#define COM1 0x3f8

        .section .boot.header, "a"

/* Multiboot 1 header, with load addresses (flag 16), so that a 64-bit ELF file can be loaded as it is. */
        .balign 8
mb1_header:
        .set MB1_FLAGS, 0x00010003
        .long 0x1badb002, MB1_FLAGS, -(0x1badb002 + MB1_FLAGS)
        .long PHYS(mb1_header), PHYS(image_start), PHYS(image_data_end), PHYS(image_end), PHYS(start32)

        .balign 8
mb2_header:
        .set MB2_LENGTH, mb2_end - mb2_header
        .long 0xe85250d6, 0, MB2_LENGTH, -(0xe85250d6 + MB2_LENGTH) & 0xffffffff
        .balign 8
        .short 2, 0             /* address tag */
        .long 24
        .long PHYS(mb2_header), PHYS(image_start), PHYS(image_data_end), PHYS(image_end)
        .balign 8
        .short 3, 0             /* entry address tag */
        .long 12
        .long PHYS(start32)
        .balign 8
        .short 6, 0             /* modules page-aligned */
        .long 8
        .balign 8
        .short 0, 0
        .long 8
mb2_end:

        .section .boot.text, "ax"
        .code32
        .globl start32
start32:
        cli
        cld
        movl    %eax, %ebp      /* the loader's magic and information block, kept in registers no test below touches */
        movl    %ebx, %edi
        movl    $PHYS(boot_stack_end), %esp

        /* Long mode? CPUID first (EFLAGS.ID), then leaf 0x80000001 EDX (AMD APM vol. 3, Appendix D). */
        pushfl
        popl    %eax
        movl    %eax, %ecx
        xorl    $0x200000, %eax
        pushl   %eax
        popfl
        pushfl
        popl    %eax
        xorl    %ecx, %eax
        movl    $PHYS(msg_no_long_mode), %esi
        testl   $0x200000, %eax
        jz      refuse
        movl    $0x80000000, %eax
        cpuid
        movl    $PHYS(msg_no_long_mode), %esi
        cmpl    $0x80000001, %eax
        jb      refuse
        movl    $0x80000001, %eax
        cpuid
        movl    $PHYS(msg_no_long_mode), %esi
        testl   $(1 << 29), %edx
        jz      refuse
        movl    $PHYS(msg_no_nx), %esi
        testl   $(1 << 20), %edx
        jz      refuse
        movl    $PHYS(boot_handover), %ecx
        /* EBX was spoilt by CPUID; EDI still has the information block. */
        movl    %ebp, (%ecx)
        movl    %edi, 4(%ecx)

        /* 4 GiB in 2 MiB pages. */
        movl    $PHYS(boot_l2), %ebx
        movl    $0x83, %eax
        xorl    %edx, %edx
1:      movl    %eax, (%ebx)
        movl    %edx, 4(%ebx)
        addl    $0x200000, %eax
        addl    $8, %ebx
        cmpl    $PHYS(boot_l2) + 4 * 4096, %ebx
        jne     1b
        movl    $PHYS(boot_l2) + 3, %eax
        movl    $PHYS(boot_l3), %ebx
        movl    $4, %ecx
1:      movl    %eax, (%ebx)
        addl    $4096, %eax
        addl    $8, %ebx
        loop    1b
        /* The image: virtual IMAGE_BASE is physical PHYS_BASE, one entry into boot_l2. */
        movl    $PHYS(boot_image_l2), %ebx
        movl    $PHYS_BASE + 0x83, %eax
        movl    $32, %ecx
1:      movl    %eax, (%ebx)
        addl    $0x200000, %eax
        addl    $8, %ebx
        loop    1b
        movl    $PHYS(boot_image_l2) + 3, PHYS(boot_image_l3)
        movl    $PHYS(boot_l3) + 3, PHYS(boot_l4)
        movl    $PHYS(boot_l3) + 3, PHYS(boot_l4) + 262 * 8
        movl    $PHYS(boot_image_l3) + 3, PHYS(boot_l4) + 261 * 8

        movl    $0x20, %eax             /* CR4.PAE */
        movl    %eax, %cr4
        movl    $PHYS(boot_l4), %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       /* EFER: LME, NXE, SCE */
        rdmsr
        orl     $0x901, %eax
        wrmsr
        movl    $0x80010033, %eax       /* CR0: PG, WP, NE, ET, MP, PE */
        movl    %eax, %cr0
        lgdt    PHYS(boot_gdt_pointer)
        ljmp    $8, $PHYS(start64_low)

/* One line on COM1, polled with a limit, and on the VGA text screen; then stop. ESI: the text. */
refuse:
        movl    $0xb8000, %edi
2:      lodsb
        testb   %al, %al
        jz      4f
        movb    %al, %bl
        movb    $0x1f, %ah
        cmpb    $32, %al
        jb      6f
        movw    %ax, (%edi)
        addl    $2, %edi
6:      movw    $COM1 + 5, %dx
        movl    $100000, %ecx
3:      inb     %dx, %al
        testb   $0x20, %al
        jnz     5f
        loop    3b
5:      movb    %bl, %al
        movw    $COM1, %dx
        outb    %al, %dx
        jmp     2b
4:      cli
        hlt
        jmp     4b

        .code64
start64_low:
        movabsq $start64_high, %rax
        jmp     *%rax

        .section .boot.rodata, "a"
msg_no_long_mode:
        .asciz "Domus cannot start: this CPU has no 64-bit long mode. Use an x86-64 machine, or a 64-bit CPU model.\r\n"
msg_no_nx:
        .asciz "Domus cannot start: this CPU has no-execute pages (NX) switched off. Enable NX/XD in the firmware setup, or use a CPU model with nx.\r\n"

        .balign 8
boot_gdt:
        .quad 0
        /* Marked as accessed: the CPU must not write here once this is read-only. */
        .quad 0x00af9b000000ffff        /* 64-bit code */
        .quad 0x00cf93000000ffff        /* data */
boot_gdt_end:
boot_gdt_pointer:
        .short boot_gdt_end - boot_gdt - 1
        .long PHYS(boot_gdt)
boot_gdt_pointer64:
        .short boot_gdt_end - boot_gdt - 1
        .quad boot_gdt

        .text
start64_high:
        lgdt    boot_gdt_pointer64(%rip)        /* by an address that stays when the tables for the start go */
        movl    $16, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        leaq    boot_stack_end(%rip), %rsp
        xorl    %ebp, %ebp
        movl    boot_handover(%rip), %edi
        movl    boot_handover + 4(%rip), %esi
        call    domus_start
        ud2

        .section .boot.bss, "aw", @nobits
        .balign 4096
        .globl boot_l4
boot_l4:        .skip 4096
boot_l3:        .skip 4096
boot_l2:        .skip 4 * 4096
boot_image_l3:  .skip 4096
boot_image_l2:  .skip 4096
boot_handover:  .skip 8
/* Aligned (by domus.lds: an aligned section would move the headers out of the file's first 8 KiB) and sized as every stack, so that cpu_info()
 * works from the first C++ line. */
        .section .boot.stack, "aw", @nobits
        .globl boot_stack
boot_stack:     .skip STACK_SIZE - CPUINFO_SIZE
boot_stack_end: .skip CPUINFO_SIZE

        .section .note.GNU-stack, "", @progbits
