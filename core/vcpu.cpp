// SPDX-License-Identifier: GPL-2.0-or-later
// Why a vCPU runs or does not. Each reason is its own variable; whoever changes one then calls
// update_run_state(), which looks at all of them under state_lock. So of two changes at the same time the
// later call sees both, and no wake-up is lost.
#include "core/vcpu.hpp"

#include "core/domain.hpp"
#include "core/scheduler.hpp"
#include "port/cpu.hpp"
#include "port/time.hpp"

namespace domus::core {

namespace {

bool wants_cpu(const Vcpu& v) {
    return v.initialised.load() && v.online.load() && !v.blocked.load() && v.pause_count.load() == 0 &&
           v.domain->pause_count.load() == 0 && !v.domain->shutting_down.load();
}

// With state_lock held.
void update_locked(Vcpu& v) {
    if (wants_cpu(v))
        scheduler().wake(v.sched, port::now());
    else
        scheduler().sleep(v.sched, port::now(),
                          v.blocked.load() ? sched::RunState::blocked : sched::RunState::offline);
}

bool running_elsewhere(const Vcpu& v) {
    return v.sched.running.load(std::memory_order_acquire) &&
           __atomic_load_n(&v.sched.cpu.v, __ATOMIC_RELAXED) != port::this_cpu().v;
}

}  // namespace

void update_run_state(Vcpu& v) {
    LockGuard guard(v.state_lock);
    update_locked(v);
}

void unblock(Vcpu& v) {
    if (!v.blocked.load()) return;
    LockGuard guard(v.state_lock);
    v.blocked.store(false);
    if (v.polling.exchange(Vcpu::kPollNone) != Vcpu::kPollNone) {
        v.domain->events.pollers.fetch_sub(1);
        cancel_timer(v.poll_timer);
    }
    update_locked(v);
}

void kick_vcpu(Vcpu& v) {
    unblock(v);
    if (running_elsewhere(v)) port::kick(CpuId(__atomic_load_n(&v.sched.cpu.v, __ATOMIC_RELAXED)));
}

bool upcall_wanted(const Vcpu& v) {
    vcpu_info_t* info = v.info_now();
    return std::atomic_ref(info->evtchn_upcall_pending).load() != 0 &&
           std::atomic_ref(info->evtchn_upcall_mask).load() == 0;
}

void pause_vcpu(Vcpu& v) {
    v.pause_count.fetch_add(1);
    update_run_state(v);
}

void pause_vcpu_sync(Vcpu& v) {
    pause_vcpu(v);
    scheduler().wait_off_cpu(v.sched);
}

void unpause_vcpu(Vcpu& v) {
    const u32 before = v.pause_count.fetch_sub(1);
    ASSERT(before > 0);
    if (before == 1) update_run_state(v);
}

void pause_domain(Domain& d) {
    d.pause_count.fetch_add(1);
    for_each_vcpu(d, [](Vcpu& v) { update_run_state(v); });
}

void pause_domain_sync(Domain& d) {
    pause_domain(d);
    for_each_vcpu(d, [](Vcpu& v) { scheduler().wait_off_cpu(v.sched); });
}

void unpause_domain(Domain& d) {
    const u32 before = d.pause_count.fetch_sub(1);
    ASSERT(before > 0);
    if (before == 1) for_each_vcpu(d, [](Vcpu& v) { update_run_state(v); });
}

}  // namespace domus::core
