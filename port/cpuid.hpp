// SPDX-License-Identifier: GPL-2.0-or-later
// The CPUID instruction, as the processor underneath answers it.
#pragma once

#include "base/types.hpp"

namespace domus {

struct CpuidLeaf {
    u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
    constexpr bool operator==(const CpuidLeaf&) const = default;
};

namespace port {
CpuidLeaf cpuid(u32 leaf, u32 subleaf);
}
}  // namespace domus
