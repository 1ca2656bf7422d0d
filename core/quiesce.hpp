// SPDX-License-Identifier: GPL-2.0-or-later
// Freeing what others may be reading without a lock. The hypervisor runs with interrupts off from entry to
// exit on one stack per CPU, so a CPU that passes through its exit path holds no reference to anything it
// looked up before: an object unlinked now can be freed once every CPU has passed there. Readers pay nothing;
// defer() asks every CPU to pass (port::Work::quiesce).
#pragma once

#include <atomic>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::core {

// Embedded in the object to be freed, so that deferring cannot fail.
struct Deferred {
    Deferred* next = nullptr;
    void (*run)(void* arg) = nullptr;
    void* arg = nullptr;
    u64 epoch = 0;
};

// Sets up the per-CPU counters. Called once, when port::cpu_count() is final. ENOMEM.
Result<> init_quiesce();

// Calls run(arg) after every CPU has passed a quiescent state; on whichever CPU notices, with no lock held.
// The caller has already made the object unreachable. Any context without locks of rank `leaf`.
void defer(Deferred& d, void (*run)(void* arg), void* arg);

// The exit path's report: this CPU holds no reference from lock-free lookups. Runs what has become due.
void quiescent_state();

}  // namespace domus::core
