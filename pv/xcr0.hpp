// SPDX-License-Identifier: GPL-2.0-or-later
// Which values XCR0 takes: the hypervisor loads what a guest or the toolstack asked for, and would fault
// itself.
#pragma once

#include "base/types.hpp"

namespace domus::pv {

// Combinations that XSETBV takes (Intel SDM vol. 1, 13.3; AMD APM vol. 2, 11.5.2): x87 always; AVX needs SSE;
// the three parts of AVX-512 come together and need AVX. That the processor has them all is another question.
constexpr bool xcr0_consistent(u64 value) {
    constexpr u64 kX87 = 1, kSse = 2, kAvx = 4, kAvx512 = 0xe0;
    if ((value & kX87) == 0) return false;
    if ((value & kAvx) != 0 && (value & kSse) == 0) return false;
    return (value & kAvx512) == 0 || ((value & kAvx512) == kAvx512 && (value & kAvx) != 0);
}

}  // namespace domus::pv
