// SPDX-License-Identifier: GPL-2.0-or-later
// Bringing vCPUs up and down, and giving them contexts and NMIs.
#include "core/vcpu_op.hpp"

#include "core/domain.hpp"
#include "core/scheduler.hpp"
#include "port/context.hpp"

namespace domus::core {

Result<Vcpu*> named_vcpu(Domain& d, VcpuId id) {
    Vcpu* v = d.vcpu(id);
    if (v == nullptr) return fail(Error::noent);
    return v;
}

Result<> vcpu_initialise(Domain& d, VcpuId id, const void* context) {
    Vcpu& v = *TRY(named_vcpu(d, id));
    if (v.info_now() == &v.own_info) return fail(Error::inval);
    // Two vCPUs may try to initialise a third at once.
    if (v.initialising.exchange(true)) return fail(Error::busy);
    Result<> done = v.initialised.load() ? Result<>(fail(Error::exist)) : port::vcpu_set_context(v, context);
    if (done) v.initialised.store(true);
    v.initialising.store(false);
    return done;
}

Result<> vcpu_replace_context(Vcpu& v, const void* context, bool online) {
    if (v.initialising.exchange(true)) return fail(Error::restart);
    // Between the parts of a preempted change it has pieces of two contexts: it must not run then.
    const bool was = v.initialised.exchange(false);
    const Result<> done = port::vcpu_set_context(v, context);
    if (done) {
        unblock(v);  // also ends a poll
        v.online.store(online);
        v.initialised.store(true);
    } else if (done.error() != Error::restart) {
        v.initialised.store(was);
    }
    v.initialising.store(false);
    update_run_state(v);
    return done;
}

Result<> vcpu_reset(Vcpu& v) {
    if (v.initialising.exchange(true)) return fail(Error::restart);
    v.initialised.store(false);
    v.online.store(false);
    const Result<> done = port::vcpu_drop_context(v);
    v.initialising.store(false);
    update_run_state(v);
    return done;
}

Result<> vcpu_up(Domain& d, VcpuId id) {
    Vcpu& v = *TRY(named_vcpu(d, id));
    if (!v.initialised.load()) return fail(Error::inval);
    if (!v.online.exchange(true)) update_run_state(v);
    return {};
}

Result<> vcpu_down(Domain& d, VcpuId id) {
    Vcpu& v = *TRY(named_vcpu(d, id));
    if (v.online.exchange(false)) update_run_state(v);
    bool any = false;
    for_each_vcpu(d, [&any](Vcpu& other) { any = any || other.online.load(); });
    if (!any) shut_down_domain(d, SHUTDOWN_poweroff);
    return {};
}

Result<bool> vcpu_is_up(Domain& d, VcpuId id) { return TRY(named_vcpu(d, id))->online.load(); }

Result<> vcpu_send_nmi(Domain& d, VcpuId id) {
    Vcpu& v = *TRY(named_vcpu(d, id));
    if (v.nmi_pending.exchange(true)) return {};
    unblock(v);
    // The exit path looks for NMIs only when it has work.
    if (v.sched.running.load())
        port::raise_work(CpuId(__atomic_load_n(&v.sched.cpu.v, __ATOMIC_RELAXED)), port::Work::schedule);
    return {};
}

Result<u64> vcpu_physid(Domain& d, VcpuId id) {
    Vcpu& v = *TRY(named_vcpu(d, id));
    if (!d.hardware || !v.pinned) return fail(Error::inval);
    const CpuId cpu = v.sched.cpu;
    return u64{port::apic_id(cpu)} | u64{port::acpi_id(cpu)} << 32;
}

}  // namespace domus::core
