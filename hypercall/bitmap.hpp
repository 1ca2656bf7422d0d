// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of CPUs and of NUMA nodes as the toolstack passes them (xenctl_bitmap, public domctl.h): bytes, bit 0
// of the first is number 0.
#pragma once

#include <span>

#include "abi/xen.hpp"
#include "hypercall/argument.hpp"

namespace domus::hypercall {

// The address in a handle of the ABI's.
template <class T>
GuestAddr address_of(const T& handle) {
    return GuestAddr(reinterpret_cast<u64>(handle.p));
}

// Reads a set into `words`; numbers beyond either's end are not in it. EFAULT.
Result<> read_bitmap(const xenctl_bitmap& from, std::span<u64> words);

// Writes the numbers below `count` of a set, as many as the caller has room for; the rest of its bytes become
// zero. EFAULT. Preconditions: words.size() * 64 >= count.
Result<> write_bitmap(const xenctl_bitmap& to, std::span<const u64> words, u32 count);

}  // namespace domus::hypercall
