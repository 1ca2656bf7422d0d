// SPDX-License-Identifier: GPL-2.0-or-later
// What libstdc++'s headers call when their preconditions are broken. Without exceptions that is a bug of
// ours.
#include <bits/functexcept.h>  // declares them

#include "base/assert.hpp"

namespace std {

void __throw_out_of_range_fmt(const char* what, ...) { domus::panic("out of range: {}", what); }

}  // namespace std

// libgcc's, which g++ calls where the CPU may lack POPCNT.
extern "C" int __popcountdi2(unsigned long v) {
    v -= (v >> 1) & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return static_cast<int>((v * 0x0101010101010101u) >> 56);
}
