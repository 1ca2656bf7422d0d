// SPDX-License-Identifier: GPL-2.0-or-later
// The scheduler's report (debug key r).
#include "core/affinity.hpp"
#include "core/cpupool.hpp"
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/report.hpp"
#include "core/scheduler.hpp"
#include "port/time.hpp"
#include "sched/policy.hpp"

namespace domus::core {

namespace {

void report_cpu(const Report& r, CpuId cpu, Nanos now) {
    // Read without its lock: who has just been switched is not worth a lock held over a serial line.
    const sched::Unit* const on = scheduler().current(cpu);
    const auto idle = scheduler().idle_times(cpu, now);
    if (on != nullptr)
        r.line("  CPU {}: d{}v{}, was idle {} ms in all", cpu, on->domain, on->vcpu,
               idle.time / kMillisecond);
    else
        r.line("  CPU {}: idle, was idle {} ms in all", cpu, idle.time / kMillisecond);
}

const char* name_of(sched::RunState s) {
    constexpr const char* names[] = {"running", "runnable", "blocked", "offline"};
    return names[static_cast<u32>(s)];
}

}  // namespace

void report_scheduler(void (*write)(std::string_view)) {
    const Report r(write);
    const Nanos now = port::now();
    r.line("scheduler at {} ms:", now / kMillisecond);
    Result<PoolInfo> pool = fail(Error::noent);
    for (u32 id = 0; (pool = describe_pool(id)); id = pool->id + 1) {
        r.line("pool {}: {}, {} domains", pool->id, pool->policy->name, pool->domains);
        for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu)
            if (scheduler().pool_of(cpu) == pool->engine) report_cpu(r, cpu, now);
        for (Domain* d = next_domain(DomId(0)); d != nullptr; d = next_domain(d->id + 1)) {
            if (d->pool == nullptr || d->pool->id != pool->id) continue;
            r.line("  domain {}: weight {}, cap {} %", d->id, u32{d->share.weight}, u32{d->share.cap});
            for_each_vcpu(*d, [&](Vcpu& v) {
                const auto t = scheduler().run_times(v.sched, now);
                r.line("    vCPU {}: {} on CPU {}, ran {} ms, waited {} ms", v.id, name_of(t.state),
                       v.sched.cpu, t.time[0] / kMillisecond, t.time[1] / kMillisecond);
            });
        }
        if (pool->id == ~u32{0}) break;
    }
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu)
        if (scheduler().pool_of(cpu) == nullptr)
            r.line("CPU {} is {}", cpu, cpu_online(cpu) ? "in no pool" : "offline");
}

}  // namespace domus::core
