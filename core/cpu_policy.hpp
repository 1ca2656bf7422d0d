// SPDX-License-Identifier: GPL-2.0-or-later
// What a domain is told of the processor, as data: CPUID leaves and the registers that describe features. The
// rules are pv/cpu_policy.hpp's.
#pragma once

#include <array>

#include "base/types.hpp"
#include "port/cpuid.hpp"

namespace domus {

struct CpuPolicy {
    static constexpr u32 kBasicLeaves = 0xe, kCacheSubleaves = 6, kFeatureSubleaves = 3,
                         kTopologySubleaves = 2, kStateSubleaves = 63, kExtendedLeaves = 0x22;

    std::array<CpuidLeaf, kBasicLeaves> basic{};  // less those with subleaves: 4, 7, 0xb, 0xd
    std::array<CpuidLeaf, kCacheSubleaves> cache{};
    std::array<CpuidLeaf, kFeatureSubleaves> features{};
    std::array<CpuidLeaf, kTopologySubleaves> topology{};
    std::array<CpuidLeaf, kStateSubleaves> state{};
    std::array<CpuidLeaf, kExtendedLeaves> extended{};
    // Last leaf of the ranges from 0x40000000 and 0x40000100 as the toolstack wants it; 0: no wish.
    u32 hypervisor_limit = 0, second_limit = 0;

    u64 platform_info = 0;  // MSR 0xce
    u64 arch_caps = 0;      // MSR 0x10a
};

}  // namespace domus
