// SPDX-License-Identifier: GPL-2.0-or-later
#include "arch_devices/address_width.hpp"

#include <algorithm>

#include "port/cpuid.hpp"

namespace domus::x86 {

unsigned physical_address_bits() {
    constexpr u32 kSizes = 0x80000008;
    constexpr unsigned kWithoutLeaf = 36, kLeast = 32, kMost = 52;  // the last: what a page table entry holds
    if (port::cpuid(0x80000000, 0).eax < kSizes) return kWithoutLeaf;
    return std::clamp(port::cpuid(kSizes, 0).eax & 0xff, kLeast, kMost);
}

}  // namespace domus::x86
