// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers that assembly and C++ share. Plain defines, so that both can read them; arch/x86_64/offsets.cpp
// checks each against the C++ type that it describes.
#pragma once

// struct GuestRegs
#define REGS_ERROR_CODE 120
#define REGS_VECTOR 124
#define REGS_RIP 128
#define REGS_CS 136
#define REGS_RFLAGS 144
#define REGS_RSP 152
#define REGS_SS 160
#define REGS_RAX 80
#define REGS_R11 48
#define REGS_RCX 88
#define REGS_SIZE 168

// struct CpuInfo, counted from the end of the stack
#define CPUINFO_SIZE 224
#define CPUINFO_REGS 8
#define CPUINFO_CURRENT 176
#define CPUINFO_CPU 184
#define CPUINFO_WORK 188
#define CPUINFO_SCRATCH 192
#define STACK_SIZE 0x10000

// struct Vcpu
#define VCPU_INFO 0

// Selectors: the ABI (public arch-x86/xen-x86_64.h) fixes the guest's, the hypervisor's own fill the same
// page.
#define SEL_HV_CS 0xe008
#define SEL_HV_DS 0xe010
#define SEL_GUEST_CS32 0xe023
#define SEL_GUEST_DS 0xe02b
#define SEL_GUEST_CS64 0xe033
// What 32-bit guests have in their place (public arch-x86/xen-x86_32.h).
#define SEL_GUEST32_KERNEL_CS 0xe019
#define SEL_GUEST32_KERNEL_DS 0xe021
#define SEL_GUEST32_USER_CS 0xe02b
#define SEL_GUEST32_USER_DS 0xe033
#define SEL_TSS 0xe040
#define SEL_LDT 0xe050

#define VECTOR_SYSCALL 0x100

// Features that code is patched for (arch_state/patch.hpp).
#define PATCH_SMAP 0
