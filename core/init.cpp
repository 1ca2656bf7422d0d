// SPDX-License-Identifier: GPL-2.0-or-later
// The order in which the core's parts start.
#include "core/init.hpp"

#include "core/dirty_log.hpp"
#include "core/pages.hpp"
#include "core/quiesce.hpp"
#include "core/scheduler.hpp"
#include "core/timer.hpp"

namespace domus::core {

Result<> init(std::string_view policy) {
    TRY(init_quiesce());
    TRY(init_timers());
    init_pages();
    init_dirty_log();
    return init_scheduler(policy);
}

}  // namespace domus::core
