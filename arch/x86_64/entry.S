/* SPDX-License-Identifier: GPL-2.0-or-later
 * Ways in and the way out. Everything enters with interrupts off and leaves through exit_to_guest or, when the hypervisor itself was interrupted,
 * through leave_own. The frame is struct GuestRegs (arch_state/regs.hpp); for an entry from a guest it lies in CpuInfo at the top of the stack.
 */
#include "arch_state/offsets.hpp"
#include "arch/patch.inc"

.macro SAVE_GENERAL
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
.endm

/* Restores all but RSP's last 8 bytes (error code and vector). */
.macro RESTORE_GENERAL
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
.endm

        .section .entry.text, "ax"

/* One 16-byte stub for each vector. Exceptions 8, 10 to 14, 17, 21, 29 and 30 push an error code (AMD APM vol. 2, 8.2). */
        .balign 16
        .globl entry_stubs
entry_stubs:
        .set vector, 0
        .rept 256
        .balign 16
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
        pushq   $0
        .endif
        movl    $vector, 4(%rsp)
        .if vector == 1 || vector == 2 || vector == 8 || vector == 18
        jmp     entry_ist
        .else
        jmp     entry_common
        .endif
        .set vector, vector + 1
        .endr
        .balign 16

/* RFLAGS is still what was interrupted: a guest may have set DF and AC. */
entry_common:
        cld
        FORBID_USER_ACCESS
        SAVE_GENERAL
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        testb   $3, REGS_CS(%rsp)
        jz      1f
        subq    $8, %rsp                /* calls start from a multiple of 16 */
        call    trap_from_guest
        addq    $8, %rsp
        jmp     exit_to_guest
1:      movq    32(%rsp), %rbp          /* the interrupted code's frame, for stack traces */
        subq    $8, %rsp
        call    trap_from_hypervisor
        addq    $8, %rsp
        .globl leave_own
leave_own:
        RESTORE_GENERAL
        addq    $8, %rsp
        .globl own_iret
own_iret:
        iretq                           /* may fault like guest_iret when it was a guest that an NMI interrupted */

/* Vectors with stacks of their own. #DB and NMI from a guest go on as normal entries, on the primary stack (no other NMI comes before admit_nmis()); the
 * rest return as they came. */
entry_ist:
        cld
        FORBID_USER_ACCESS
        SAVE_GENERAL
        testb   $3, REGS_CS(%rsp)
        jz      1f
        cmpl    $2, REGS_VECTOR(%rsp)
        ja      1f
        movq    %rsp, %rsi
        movq    %rsp, %rdi
        orq     $(STACK_SIZE - 1), %rdi
        subq    $(CPUINFO_SIZE - CPUINFO_REGS - 1), %rdi
        movq    %rdi, %rsp
        movl    $(REGS_SIZE / 8), %ecx
        rep movsq
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        subq    $8, %rsp
        call    trap_from_guest
        addq    $8, %rsp
        jmp     exit_to_guest
1:      movq    %rsp, %rdi
        movq    32(%rsp), %rbp
        subq    $8, %rsp
        call    trap_on_own_stack
        addq    $8, %rsp
        jmp     leave_own

/* SYSCALL, on the primary stack at the end of CpuInfo.regs; the stub has parked the guest's RSP. */
        .globl syscall_entry
syscall_entry:
        pushq   $SEL_GUEST_DS
        pushq   CPUINFO_SCRATCH - CPUINFO_CURRENT + 8(%rsp)
        pushq   %r11
        pushq   $SEL_GUEST_CS64
        pushq   %rcx
        pushq   $0
        movl    $VECTOR_SYSCALL, 4(%rsp)
        SAVE_GENERAL
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        subq    $8, %rsp
        call    guest_syscall
        addq    $8, %rsp
        /* fall through */

        .globl exit_to_guest
exit_to_guest:
        cmpl    $0, CPUINFO_WORK - CPUINFO_REGS(%rsp)
        jne     exit_slow
        movq    CPUINFO_CURRENT - CPUINFO_REGS(%rsp), %rax
        testq   %rax, %rax
        jz      exit_slow
        movq    VCPU_INFO(%rax), %rax
        cmpw    $1, (%rax)              /* evtchn_upcall_pending set, evtchn_upcall_mask (next byte) clear */
        je      exit_slow
        cmpl    $VECTOR_SYSCALL, REGS_VECTOR(%rsp)
        jne     1f
        /* SYSRET with a non-canonical RIP faults in ring 0 on some CPUs. */
        movq    REGS_RIP(%rsp), %rcx
        movq    %rcx, %rax
        shlq    $16, %rax
        sarq    $16, %rax
        cmpq    %rcx, %rax
        jne     1f
        RESTORE_GENERAL
        movq    REGS_RIP - REGS_ERROR_CODE(%rsp), %rcx
        movq    REGS_RFLAGS - REGS_ERROR_CODE(%rsp), %r11
        movq    REGS_RSP - REGS_ERROR_CODE(%rsp), %rsp
        sysretq
1:      RESTORE_GENERAL
        addq    $8, %rsp
        .globl guest_iret
guest_iret:
        iretq                           /* may fault on what the guest put in CS or SS: traps.cpp knows this address */

exit_slow:
        movq    %rsp, %rdi
        subq    $8, %rsp
        call    exit_work
        addq    $8, %rsp
        jmp     exit_to_guest

/* SYSCALL from 32-bit code (AMD): as above, but left by IRET, which alone restores a 32-bit process whole. */
        .globl syscall32_entry
syscall32_entry:
        pushq   $SEL_GUEST_DS
        pushq   CPUINFO_SCRATCH - CPUINFO_CURRENT + 8(%rsp)
        pushq   %r11
        pushq   $SEL_GUEST_CS32
        pushq   %rcx
        pushq   $0
        SAVE_GENERAL
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        subq    $8, %rsp
        call    guest_syscall32
        addq    $8, %rsp
        jmp     exit_to_guest

/* SYSENTER (Intel), with RSP from its MSR: at the end of CpuInfo.regs. The CPU keeps neither RIP nor RSP, and only IF of RFLAGS has
 * been cleared: NT would make our IRETQ fault. */
        .globl sysenter_entry
sysenter_entry:
        pushq   $SEL_GUEST_DS
        pushq   $0
        pushfq
        pushq   $2
        popfq
        pushq   $SEL_GUEST_CS32
        pushq   $0
        pushq   $0
        SAVE_GENERAL
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        subq    $8, %rsp
        call    guest_sysenter
        addq    $8, %rsp
        jmp     exit_to_guest

/* Starts the life of a CPU after boot: drops the boot stack's contents and leaves as from any entry. */
        .globl start_guests
start_guests:
        movq    %rsp, %rax
        orq     $(STACK_SIZE - 1), %rax
        subq    $(CPUINFO_SIZE - CPUINFO_REGS - 1), %rax
        movq    %rax, %rsp
        xorl    %ebp, %ebp
        jmp     exit_to_guest

        .globl restart_exit
        .set    restart_exit, start_guests

/* Switches to another stack and calls a function that does not return: RDI stack, RSI function, RDX argument. */
        .globl call_on_stack
call_on_stack:
        movq    %rdi, %rsp
        xorl    %ebp, %ebp
        movq    %rdx, %rdi
        call    *%rsi
        ud2

        .section .rodata, "a"
/* Copied to its own page of each CPU's area (cpu_area.hpp), from where it reaches that CPU's CpuInfo by a fixed distance. */
#define AREA_STUB 0x40000
#define STACK_TOP 0x10000
        .balign 16
        .globl syscall_stub, syscall32_stub, syscall_stub_end
.macro TO_STACK_AND target
        movq    %rsp, (syscall_stub + STACK_TOP - CPUINFO_SIZE + CPUINFO_SCRATCH - AREA_STUB)(%rip)
        leaq    (syscall_stub + STACK_TOP - CPUINFO_SIZE + CPUINFO_CURRENT - AREA_STUB)(%rip), %rsp
        jmp     *1f(%rip)
        .balign 8
1:      .quad   \target
.endm
syscall_stub:
        TO_STACK_AND syscall_entry
        .balign 16
syscall32_stub:
        TO_STACK_AND syscall32_entry
syscall_stub_end:

        .section .note.GNU-stack, "", @progbits
