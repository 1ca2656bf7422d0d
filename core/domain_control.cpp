// SPDX-License-Identifier: GPL-2.0-or-later
// Control software's hold on a domain, and its pauses.
#include "core/domain_control.hpp"

#include "core/domain.hpp"

namespace domus::core {

ControlHold ControlHold::try_take(Domain& d) {
    return ControlHold(d.control.busy.exchange(true, std::memory_order_acquire) ? nullptr : &d.control.busy);
}

Result<> control_pause(Domain& d) {
    constexpr u32 kMostPauses = 255;
    if (d.control.pauses.load() == kMostPauses) return fail(Error::overflow);
    d.control.pauses.fetch_add(1);
    pause_domain_sync(d);
    return {};
}

Result<> control_unpause(Domain& d) {
    if (d.control.pauses.load() == 0) return fail(Error::inval);
    d.control.pauses.fetch_sub(1);
    unpause_domain(d);
    return {};
}

}  // namespace domus::core
