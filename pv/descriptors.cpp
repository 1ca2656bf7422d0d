// SPDX-License-Identifier: GPL-2.0-or-later
// Checking descriptors.
#include "pv/descriptors.hpp"

namespace domus::pv {

namespace {
constexpr u64 kPresent = u64{1} << 47;
constexpr u64 kCodeOrData = u64{1} << 44;
constexpr u64 kTypeMask = u64{0xf} << 40;
constexpr u64 kDpl3 = u64{3} << 45;
}  // namespace

std::optional<u64> check_descriptor(u64 descriptor) {
    // The CPU faults on any use of a descriptor that is not present.
    if ((descriptor & kPresent) == 0) return descriptor;
    // A lower DPL would make no segment the guest can use more powerful, but conforming code and stack loads
    // from ring 3 would fail; kernels write DPL 0 out of habit.
    if ((descriptor & kCodeOrData) != 0) return descriptor | kDpl3;
    if ((descriptor & kTypeMask) == 0) return descriptor;
    // Task states, local tables and gates lead to the hypervisor's privilege or state.
    return std::nullopt;
}

}  // namespace domus::pv
