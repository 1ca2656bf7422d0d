// SPDX-License-Identifier: GPL-2.0-or-later
// A vCPU's periodic and single-shot timers; both end as VIRQ_TIMER.
#include "core/domain.hpp"
#include "core/vcpu_time.hpp"
#include "port/context.hpp"

namespace domus::core {

namespace {

constexpr u64 kMinPeriod = kMillisecond;
constexpr u64 kMaxPeriod = u64{1} << 62;
constexpr u64 kFarFuture = u64{1} << 62;

Vcpu& owner(Timer& t) { return *static_cast<Vcpu*>(t.arg); }

void periodic_fire(Timer& t, Nanos now) {
    Vcpu& v = owner(t);
    {
        LockGuard guard(v.time_lock);
        if (v.period == 0) return;
        // Missed ticks are lost, as they would be with a real timer whose interrupt was not taken.
        v.period_due += ((now - v.period_due) / v.period + 1) * v.period;
        set_timer(t, CpuId(t.cpu.load(std::memory_order_relaxed)), v.period_due);
    }
    send_virq(v, VIRQ_TIMER);
}

void singleshot_fire(Timer& t, Nanos) { send_virq(owner(t), VIRQ_TIMER); }
void poll_fire(Timer& t, Nanos) { unblock(owner(t)); }

}  // namespace

void init_vcpu_timers(Vcpu& v) {
    v.periodic_timer.fire = periodic_fire;
    v.singleshot_timer.fire = singleshot_fire;
    v.poll_timer.fire = poll_fire;
    for (Timer* t : {&v.periodic_timer, &v.singleshot_timer, &v.poll_timer}) t->arg = &v;
}

void stop_vcpu_timers(Vcpu& v) {
    stop_periodic_timer(v);
    for (Timer* t : {&v.periodic_timer, &v.singleshot_timer, &v.poll_timer}) cancel_timer_sync(*t);
}

Result<> set_periodic_timer(Vcpu& v, u64 period, Nanos now) {
    if (period < kMinPeriod || period > kMaxPeriod - static_cast<u64>(now)) return fail(Error::inval);
    LockGuard guard(v.time_lock);
    v.period = static_cast<Nanos>(period);
    v.period_due = now + v.period;
    set_timer(v.periodic_timer, CpuId(v.periodic_timer.cpu.load()), v.period_due);
    return {};
}

void stop_periodic_timer(Vcpu& v) {
    LockGuard guard(v.time_lock);
    v.period = 0;
    cancel_timer(v.periodic_timer);
}

Result<> set_singleshot_timer(Vcpu& v, u64 when, u32 flags, Nanos now) {
    if (&v != port::current_vcpu()) return fail(Error::inval);
    if ((flags & VCPU_SSHOTTMR_future) != 0 && when < static_cast<u64>(now)) return fail(Error::time);
    set_timer(v.singleshot_timer, port::this_cpu(),
              static_cast<Nanos>(when < kFarFuture ? when : kFarFuture));
    return {};
}

Result<> stop_singleshot_timer(Vcpu& v) {
    if (&v != port::current_vcpu()) return fail(Error::inval);
    cancel_timer(v.singleshot_timer);
    return {};
}

void set_timer_op(Vcpu& v, u64 when) {
    if (when == 0)
        cancel_timer(v.singleshot_timer);
    else
        set_timer(v.singleshot_timer, port::this_cpu(),
                  static_cast<Nanos>(when < kFarFuture ? when : kFarFuture));
}

}  // namespace domus::core
