/* SPDX-License-Identifier: GPL-2.0-or-later
 * The block of data at a fixed place in the trampoline's page, shared with trampoline.S. */
#pragma once

#define TRAMPOLINE_DATA 0x200
#define TRAMPOLINE_GDT_POINTER 0x00
#define TRAMPOLINE_CPU 0x08
#define TRAMPOLINE_PROTECTED 0x0c
#define TRAMPOLINE_LONG 0x14
#define TRAMPOLINE_CR3 0x1c
#define TRAMPOLINE_STACK 0x20
#define TRAMPOLINE_ENTRY 0x28
#define TRAMPOLINE_GDT 0x30

#ifndef __ASSEMBLER__

#include <cstddef>

#include "base/types.hpp"

namespace domus::x86 {

inline constexpr u64 kTrampolineData = TRAMPOLINE_DATA;

struct [[gnu::packed]] TrampolineData {
    u16 gdt_limit;
    u32 gdt_base;  // machine address
    u16 reserved;
    u32 cpu;
    u32 protected_entry;  // far pointer to the 32-bit part: offset, in the page until C++ adds its base …
    u32 protected_selector;
    u32 long_entry;  // … and to the 64-bit part
    u32 long_selector;
    u32 cr3;
    u64 stack;
    u64 entry;  // start_this_cpu()
    u64 gdt[4];
};
static_assert(offsetof(TrampolineData, gdt_limit) == TRAMPOLINE_GDT_POINTER);
static_assert(offsetof(TrampolineData, cpu) == TRAMPOLINE_CPU);
static_assert(offsetof(TrampolineData, protected_entry) == TRAMPOLINE_PROTECTED);
static_assert(offsetof(TrampolineData, long_entry) == TRAMPOLINE_LONG);
static_assert(offsetof(TrampolineData, cr3) == TRAMPOLINE_CR3);
static_assert(offsetof(TrampolineData, stack) == TRAMPOLINE_STACK);
static_assert(offsetof(TrampolineData, entry) == TRAMPOLINE_ENTRY);
static_assert(offsetof(TrampolineData, gdt) == TRAMPOLINE_GDT);

}  // namespace domus::x86

#endif
