// SPDX-License-Identifier: GPL-2.0-or-later
// What libstdc++'s headers call when their preconditions are broken. Without exceptions that is a bug of
// ours.
#include <bits/functexcept.h>  // declares them

#include "base/assert.hpp"

namespace std {

void __throw_out_of_range_fmt(const char* what, ...) { domus::panic("out of range: {}", what); }

}  // namespace std
