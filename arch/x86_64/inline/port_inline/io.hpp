// SPDX-License-Identifier: GPL-2.0-or-later
// The instructions that touch registers (AMD APM vol. 3: IN, OUT, RDMSR, WRMSR, RDTSC).
#pragma once

#include "base/types.hpp"

namespace domus::port {

inline u8 in8(u16 port) {
    u8 v;
    asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
inline u16 in16(u16 port) {
    u16 v;
    asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
inline u32 in32(u16 port) {
    u32 v;
    asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
inline void out8(u16 port, u8 v) { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
inline void out16(u16 port, u16 v) { asm volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }
inline void out32(u16 port, u32 v) { asm volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }

// Plain MOVs with a memory operand: some devices (and every emulator) understand no other instruction.
template <class T>
T mmio_read(const volatile void* at) {
    T v;
    static_assert(sizeof v <= 8);
    if constexpr (sizeof v == 1)
        asm volatile("movb %1, %0" : "=q"(v) : "m"(*static_cast<const volatile T*>(at)) : "memory");
    else if constexpr (sizeof v == 2)
        asm volatile("movw %1, %0" : "=r"(v) : "m"(*static_cast<const volatile T*>(at)) : "memory");
    else if constexpr (sizeof v == 4)
        asm volatile("movl %1, %0" : "=r"(v) : "m"(*static_cast<const volatile T*>(at)) : "memory");
    else
        asm volatile("movq %1, %0" : "=r"(v) : "m"(*static_cast<const volatile T*>(at)) : "memory");
    return v;
}
template <class T>
void mmio_write(volatile void* at, T v) {
    static_assert(sizeof v <= 8);
    if constexpr (sizeof v == 1)
        asm volatile("movb %1, %0" : "=m"(*static_cast<volatile T*>(at)) : "q"(v) : "memory");
    else if constexpr (sizeof v == 2)
        asm volatile("movw %1, %0" : "=m"(*static_cast<volatile T*>(at)) : "r"(v) : "memory");
    else if constexpr (sizeof v == 4)
        asm volatile("movl %1, %0" : "=m"(*static_cast<volatile T*>(at)) : "r"(v) : "memory");
    else
        asm volatile("movq %1, %0" : "=m"(*static_cast<volatile T*>(at)) : "r"(v) : "memory");
}

inline u64 read_msr(u32 msr) {
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return u64{high} << 32 | low;
}
inline void write_msr(u32 msr, u64 v) {
    asm volatile("wrmsr" : : "c"(msr), "a"(static_cast<u32>(v)), "d"(static_cast<u32>(v >> 32)) : "memory");
}

inline u64 read_tsc() {
    u32 low, high;
    asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    return u64{high} << 32 | low;
}

inline void pause() { asm volatile("pause"); }

}  // namespace domus::port
