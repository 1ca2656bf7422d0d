// SPDX-License-Identifier: GPL-2.0-or-later
// Policies as toolstacks send and receive them: lists of leaves and registers (public arch-x86/xen.h,
// xen_cpuid_leaf_t and xen_msr_entry_t).
#pragma once

#include <span>

#include "abi/xen.hpp"
#include "pv/cpu_policy.hpp"

namespace domus::pv {

// The most that a policy can have.
inline constexpr u32 kMaxWireLeaves = 120, kMaxWireMsrs = 2;

// In rising order; returns how many.
u32 to_wire(const CpuPolicy& policy, std::span<xen_cpuid_leaf_t, kMaxWireLeaves> out);
u32 to_wire(const CpuPolicy& policy, std::span<xen_msr_entry_t, kMaxWireMsrs> out);

// Replaces what the entry names. ERANGE: a policy has no such leaf or register. EINVAL, EOVERFLOW: flags that
// are not zero, a value that does not fit. `error` names the entry.
Result<> from_wire(CpuPolicy& policy, const xen_cpuid_leaf_t& leaf, PolicyError& error);
Result<> from_wire(CpuPolicy& policy, const xen_msr_entry_t& msr, PolicyError& error);

}  // namespace domus::pv
