// SPDX-License-Identifier: GPL-2.0-or-later
// A virtual CPU.
#pragma once

#include <atomic>

#include "abi/xen.hpp"
#include "arch_state/pv_vcpu.hpp"
#include "base/types.hpp"
#include "sched/unit.hpp"

namespace domus {

struct Domain;

struct Vcpu {
    // Where the guest's vcpu_info is, through the direct map: in the shared info page, or where
    // VCPUOP_register_vcpu_info put it. The guest writes it at will: every access is one atomic load or
    // store. First, because exit code reads it (arch_state/offsets.hpp).
    vcpu_info_t* info = nullptr;

    VcpuId id{};
    Domain* domain = nullptr;
    sched::Unit sched;

    std::atomic<u32> pause_count{0};   // paused while > 0
    std::atomic<bool> online{false};   // brought up (VCPUOP_up) and not down
    std::atomic<bool> blocked{false};  // in SCHEDOP_block or poll
    bool initialised = false;          // has a context to run

    PvVcpu pv;
};

}  // namespace domus
