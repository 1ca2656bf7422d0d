// SPDX-License-Identifier: GPL-2.0-or-later
// What pv/ asked of the CPU, for tests to look at.
#pragma once

#include "base/types.hpp"

namespace domus::fakes {

struct PvHardware {
    u64 fs_base = 0, gs_base_kernel = 0, gs_base_user = 0;
    u16 gs_user_selector = 0;
    bool selector_loads = true;  // what load_gs_user_selector() answers
    u32 gdt_loads = 0, ldt_loads = 0, debug_loads = 0, user_entries = 0, crashes = 0;
    bool task_switched = false;
    u32 tsc_aux = 0;
};
extern PvHardware pv_hw;

}  // namespace domus::fakes
