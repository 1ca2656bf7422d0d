// SPDX-License-Identifier: GPL-2.0-or-later
// Sleeping. The order against a sender is Dekker's: we say that we sleep and then look for events; the sender
// sets the event and then looks for sleepers. One of the two sees the other.
#include "core/sched_op.hpp"

#include "core/domain.hpp"
#include "core/scheduler.hpp"
#include "core/trace.hpp"

namespace domus::core {

namespace {

bool must_wake(const Vcpu& v) { return upcall_wanted(v) || nmi_deliverable(v); }

}  // namespace

void vcpu_yield(Vcpu& v) {
    trace(TRC_SCHED_YIELD, u32{v.domain->id.v}, u32{v.id.v});
    scheduler().yield(v.sched);
}

void vcpu_block(Vcpu& v) {
    std::atomic_ref(v.info->evtchn_upcall_mask).store(0);
    v.blocked.store(true);
    if (must_wake(v)) {
        unblock(v);
    } else {
        trace(TRC_SCHED_BLOCK, u32{v.domain->id.v}, u32{v.id.v});
        update_run_state(v);
    }
}

Result<> vcpu_poll(Vcpu& v, std::span<const u32> ports, u64 timeout) {
    Domain& d = *v.domain;
    if (ports.size() > kMaxPolledPorts) return fail(Error::inval);
    // A single port is noted as it is, so it must not be one of the notes' special values.
    if (ports.size() == 1 && (ports[0] == Vcpu::kPollNone || ports[0] == Vcpu::kPollMany))
        return fail(Error::inval);
    d.events.pollers.fetch_add(1);
    v.polling.store(ports.size() == 1 ? ports[0] : Vcpu::kPollMany);
    v.blocked.store(true);

    bool ready = must_wake(v);
    for (usize i = 0; i < ports.size() && !ready; i++) {
        const Result<bool> pending = port_pending(d, EvtPort(ports[i]));
        if (!pending) {
            unblock(v);
            return fail(Error::inval);
        }
        ready = *pending;
    }
    if (ready) {
        unblock(v);
        return {};
    }
    if (timeout != 0) {
        constexpr u64 far_future = u64{1} << 62;
        set_timer(v.poll_timer, port::this_cpu(),
                  static_cast<Nanos>(timeout < far_future ? timeout : far_future));
        // Woken before the timer was set: take it away again.
        if (!v.blocked.load()) cancel_timer(v.poll_timer);
    }
    update_run_state(v);
    return {};
}

}  // namespace domus::core
