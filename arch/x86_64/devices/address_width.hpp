// SPDX-License-Identifier: GPL-2.0-or-later
// How many bits a physical address of this processor has.
#pragma once

namespace domus::x86 {

// 32 to 52, by the CPUID of this CPU (Fn8000_0008_EAX: AMD APM vol. 3, appendix E; Intel SDM vol. 2, CPUID).
// 36 where that leaf is missing. An entry of a page table with an address beyond faults at its use.
unsigned physical_address_bits();

}  // namespace domus::x86
