// SPDX-License-Identifier: GPL-2.0-or-later
// Setting, poking and ending watchdog timers.
#include "core/watchdog.hpp"

#include "base/log.hpp"
#include "core/domain.hpp"

namespace domus::core {

namespace {

void bark(Timer& t, Nanos) {
    Domain& d = *static_cast<Domain*>(t.arg);
    guest_log(Level::warning, "d{}: its watchdog has not been poked in time; shutting it down", d.id);
    shut_down_domain(d, SHUTDOWN_watchdog);
}

}  // namespace

Result<u32> watchdog(Domain& d, u32 id, u32 timeout, Nanos now) {
    Watchdogs& w = d.watchdogs;
    if (id > Watchdogs::kCount) return fail(Error::inval);
    LockGuard guard(w.lock);
    u32 at = id - 1;
    if (id == 0) {
        if (timeout == 0) return fail(Error::inval);
        for (at = 0; at < Watchdogs::kCount && w.in_use[at]; at++) {}
        if (at == Watchdogs::kCount) return fail(Error::nospc);
    } else if (!w.in_use[at]) {
        return fail(Error::inval);
    }
    Timer& t = w.timers[at];
    w.in_use[at] = timeout != 0;
    if (timeout == 0) {
        cancel_timer(t);
    } else {
        t.fire = bark;
        t.arg = &d;
        set_timer(t, port::this_cpu(), now + timeout * kSecond);
    }
    return id == 0 ? at + 1 : 0;
}

void stop_watchdogs(Domain& d) {
    for (Timer& t : d.watchdogs.timers) cancel_timer_sync(t);
}

}  // namespace domus::core
