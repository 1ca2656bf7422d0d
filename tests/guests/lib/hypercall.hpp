// SPDX-License-Identifier: GPL-2.0-or-later
// Hypercalls of a test kernel: through its hypercall page, whose stub n is at 32 n.
#pragma once

#include "abi/xen.hpp"
#include "base/types.hpp"

extern "C" const char hypercall_page[];

namespace guest {

using namespace domus;

inline s64 hypercall(u64 number, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0, u64 a5 = 0) {
    s64 result;
    register u64 r10 asm("r10") = a4;
    register u64 r8 asm("r8") = a5;
    asm volatile("call *%[stub]"
                 : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                 : [stub] "a"(hypercall_page + number * 32)
                 : "rcx", "r11", "r9", "memory");
    return result;
}

template <class T>
u64 address(const T& object) {
    return reinterpret_cast<u64>(&object);
}

// An operation of a family: (command, structure).
template <class T>
s64 operate(u64 number, u64 command, T& argument) {
    return hypercall(number, command, address(argument));
}

[[noreturn]] void power_off();

}  // namespace guest
