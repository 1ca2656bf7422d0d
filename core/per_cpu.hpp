// SPDX-License-Identifier: GPL-2.0-or-later
// Gives a PerCpu<T> its elements from the heap; they live for ever.
#pragma once

#include <new>

#include "base/result.hpp"
#include "mm/objects.hpp"
#include "port/percpu.hpp"

namespace domus::core {

template <class T>
Result<> attach_per_cpu(PerCpu<T>& per_cpu) {
    T* items = static_cast<T*>(TRY(allocate(sizeof(T) * port::cpu_count(), alignof(T))));
    for (u32 cpu = 0; cpu < port::cpu_count(); cpu++) new (&items[cpu]) T();
    per_cpu.attach(items);
    return {};
}

}  // namespace domus::core
