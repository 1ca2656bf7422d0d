// SPDX-License-Identifier: GPL-2.0-or-later
// A set of CPUs for the time of a hypercall: on the stack where the machine's CPUs fit, else from the heap.
#pragma once

#include <array>
#include <span>

#include "core/cpupool.hpp"
#include "mm/box.hpp"

namespace domus::hypercall {

class CpuSet {
  public:
    // Empty. NOMEM.
    static Result<CpuSet> make() {
        CpuSet set;
        if (core::cpu_set_words() > kInline) set.large_ = TRY(make_array<u64>(core::cpu_set_words()));
        return set;
    }

    std::span<u64> words() {
        return {large_.size() != 0 ? large_.data() : inline_.data(), core::cpu_set_words()};
    }

  private:
    static constexpr u32 kInline = 4;
    std::array<u64, kInline> inline_{};
    Array<u64> large_;
};

}  // namespace domus::hypercall
