// SPDX-License-Identifier: GPL-2.0-or-later
// Processor features by number: a feature is a bit of a word, a word is a register of a CPUID leaf (public
// arch-x86/cpufeatureset.h, XEN_X86_FEATURE_*). Which of them a PV guest may have, and which need another.
#pragma once

#include <array>

#include "abi/xen.hpp"
#include "core/cpu_policy.hpp"

#include <xen/arch-x86/cpufeatureset.h>

namespace domus::pv {

inline constexpr u32 kFeatureWords = 19;
using FeatureSet = std::array<u32, kFeatureWords>;

constexpr bool has(const FeatureSet& set, u32 feature) { return (set[feature / 32] >> (feature % 32)) & 1; }
constexpr void clear(FeatureSet& set, u32 feature) { set[feature / 32] &= ~(1u << (feature % 32)); }
constexpr void add(FeatureSet& set, u32 feature) { set[feature / 32] |= 1u << (feature % 32); }

// The words of a policy, and back: the other bits of those leaves are left as they are.
FeatureSet features_of(const CpuPolicy& policy);
void set_features(CpuPolicy& policy, const FeatureSet& set);

// What a PV guest can be given, and what it gets unless its toolstack asks for more or less; before the
// host's own features are considered.
extern const FeatureSet kPvMaximum, kPvDefault;
// Features that PV guests could have by the ABI and are not given: what they need is not there yet.
inline constexpr u32 kNotOfferedCount = 8;
extern const std::array<u16, kNotOfferedCount> kNotOffered;

// Takes away every feature whose prerequisites are missing.
void drop_dependents(FeatureSet& set);

}  // namespace domus::pv
