// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's place, its start, and the switch that follows its decision.
#include "core/scheduler.hpp"

#include "base/intrusive.hpp"
#include "base/log.hpp"
#include "core/cpupool.hpp"
#include "core/domain.hpp"
#include "core/per_cpu.hpp"
#include "core/timer.hpp"
#include "core/trace.hpp"
#include "core/vcpu.hpp"
#include "core/vcpu_time.hpp"
#include "port/context.hpp"

namespace domus::core {

namespace {

constinit sched::Engine engine;

// When the engine wants to look again.
struct Look {
    Timer timer{[](Timer&, Nanos) { port::raise_work(port::Work::schedule); }, nullptr};
    Nanos switched = 0;  // when it last switched, for traces
};
constinit PerCpu<Look> looks;

// Idle CPUs are the vCPUs of a domain of their own, in traces.
u32 domain_number(const Vcpu* v) { return v != nullptr ? v->domain->id.v : DOMID_IDLE; }
u32 vcpu_number(const Vcpu* v) { return v != nullptr ? v->id.v : port::this_cpu().v; }

[[gnu::cold, gnu::noinline]] void trace_switch(const Vcpu* from, const Vcpu* to, Nanos ran) {
    trace(TRC_SCHED_SWITCH_INFPREV, domain_number(from), vcpu_number(from), static_cast<u32>(ran));
    trace(TRC_SCHED_SWITCH, domain_number(from), vcpu_number(from), domain_number(to), vcpu_number(to));
}

}  // namespace

sched::Engine& scheduler() { return engine; }

Result<> init_scheduler(std::string_view policy) {
    const sched::Policy* chosen = policy.empty() ? &sched::default_policy() : sched::find_policy(policy);
    if (chosen == nullptr) {
        chosen = &sched::default_policy();
        log(Level::warning, "sched={}: there is no such scheduler here; going on with {}", policy,
            chosen->name);
    }
    TRY(attach_per_cpu(looks));
    const u32 cpus = port::cpu_count();
    const usize size = sched::Engine::storage_size(cpus, *chosen);
    auto* storage = static_cast<unsigned char*>(TRY(allocate(size, 64)));  // for ever
    TRY(engine.init(cpus, *chosen, {storage, size}));
    return init_pools();
}

Vcpu& vcpu_of(sched::Unit& unit) { return *detail::owner_of<Vcpu, &Vcpu::sched>(&unit); }

void reschedule(Nanos now) {
    const CpuId cpu = port::this_cpu();
    Vcpu* const previous = port::current_vcpu();
    const sched::Decision d = engine.schedule(cpu, now);
    Vcpu* const next = d.next == nullptr ? nullptr : &vcpu_of(*d.next);
    if (tracing(TRC_SCHED_VERBOSE)) [[unlikely]]
        if (next != previous) trace_switch(previous, next, now - looks.get().switched);
    if (next != previous) {
        looks.get().switched = now;
        port::context_switch(previous, next);
        if (previous != nullptr) engine.switched_out(previous->sched);
        if (next != nullptr) switched_in(*next, now);
    }
    Timer& look = looks.get().timer;
    if (d.deadline != port::kNever)
        set_timer(look, cpu, d.deadline);
    else if (look.queued())
        cancel_timer(look);
}

}  // namespace domus::core
