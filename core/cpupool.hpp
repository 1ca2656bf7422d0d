// SPDX-License-Identifier: GPL-2.0-or-later
// Pools of CPUs, each with its scheduling policy and its domains, as the toolstack names them (cpupool_op,
// public sysctl.h). Pool 0 is there from the start and stays.
//
// One lock orders all changes of pools, of which domain is in which, and of where vCPUs may run
// (core/affinity.hpp); none of the functions may be called with locks of rank cpupools or later.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "base/types.hpp"
#include "core/quiesce.hpp"
#include "sched/engine.hpp"

namespace domus {
struct Domain;
struct Vcpu;
}  // namespace domus

namespace domus::core {

struct CpuPool {
    u32 id = 0;
    sched::Pool* engine = nullptr;
    u32 domains = 0;
    CpuPool* next = nullptr;  // in rising ids
    usize storage_size = 0;
    Deferred deferred;
};

// The pool of all CPUs. Called by init().
Result<> init_pools();
// Words of a set of CPUs: bit i of word i / 64 is CPU i.
u32 cpu_set_words();

// `id` or the first one that is free above all others. EEXIST. ENOMEM.
Result<u32> create_pool(std::optional<u32> id, const sched::Policy& policy);
// NOENT. BUSY: it has CPUs or domains, or is pool 0.
Result<> destroy_pool(u32 id);

struct PoolInfo {
    u32 id = 0;
    const sched::Policy* policy = nullptr;
    const sched::Pool* engine = nullptr;
    u32 domains = 0;
};
Result<PoolInfo> describe_pool(u32 at_least);
// The pool with the lowest id not below `at_least`; `cpus` (cpu_set_words() words) becomes the set of its
// CPUs. NOENT: none.
Result<PoolInfo> pool_info(u32 at_least, std::span<u64> cpus);
// The CPUs that are in no pool, but online.
void free_cpus(std::span<u64> cpus);

// A CPU that is in no pool, or the first such. NOENT: no such pool. INVAL: no such CPU. NODEV: it is not
// free, or none is. ADDRNOTAVAIL: it is just leaving another one.
Result<> pool_add_cpu(u32 id, std::optional<CpuId> cpu);
// Takes this CPU, or the last one, out of a pool. RESTART: it has not stopped running vCPUs yet, call again.
// NOENT, INVAL as above. NODEV: the pool has no CPUs. ADDRNOTAVAIL: it is not in this pool. BUSY: the last
// CPU of a pool with domains. ADDRINUSE: a vCPU is bound to it for the time being (SCHEDOP_pin_override).
Result<> pool_remove_cpu(u32 id, std::optional<CpuId> cpu);

// A CPU that is offline is in no pool: it runs no vCPU, and sleeps but for interrupts and what other CPUs ask
// of it. CPU 0 is always online.
bool cpu_online(CpuId cpu);
u32 online_cpus();
// RESTART: call again. INVAL: no such CPU, or CPU 0. Else as pool_remove_cpu. No effect on one that is
// offline.
Result<> take_cpu_offline(CpuId cpu);
// Back into pool 0. INVAL: no such CPU. EXIST: it is online.
Result<> bring_cpu_online(CpuId cpu);

// Moves a domain, which is not the caller's. Its vCPUs get the new policy's defaults; those that may run on
// none of the pool's CPUs may then run on all. NOENT: no such pool, or it has no CPUs.
Result<> move_domain(Domain& d, u32 id);
// A new domain joins a pool, before it has vCPUs. NOENT.
Result<> join_pool(Domain& d, u32 id);
void leave_pool(Domain& d);

// The pool's policy as the toolstack names it, and its parameters. SRCH: no such pool.
Result<sched::Pool*> find_pool(u32 id);

// A report on who runs and who waits where, for people: calls write(line) for each line.
void report_scheduler(void (*write)(std::string_view line));

// ---- for core/affinity.cpp ------------------------------------------------------------------------

SpinLock& pools_lock();

}  // namespace domus::core
