// SPDX-License-Identifier: GPL-2.0-or-later
// One T for every CPU, in an array sized at boot by the CPUs that exist.
#pragma once

#include "port/cpu.hpp"

namespace domus {

template <class T>
class PerCpu {
  public:
    // `items` holds one element for each CPU and lives for ever.
    void attach(T* items) { items_ = items; }
    bool attached() const { return items_ != nullptr; }
    T& get() { return items_[port::this_cpu().v]; }
    T& of(CpuId cpu) { return items_[cpu.v]; }

  private:
    T* items_ = nullptr;
};

}  // namespace domus
