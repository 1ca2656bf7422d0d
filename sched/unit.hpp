// SPDX-License-Identifier: GPL-2.0-or-later
// What the scheduler knows of a vCPU. Embedded in core's Vcpu; policies keep their own numbers in
// `policy_data`.
#pragma once

#include "base/list.hpp"
#include "base/types.hpp"

namespace domus::sched {

struct Unit {
    DomId domain{};
    VcpuId vcpu{};
    ListNode run_node;      // in a policy's run queue
    CpuId cpu{};            // where it runs or last ran
    bool runnable = false;  // wants a CPU
    bool running = false;   // is on one
    void* policy_data = nullptr;
};

}  // namespace domus::sched
