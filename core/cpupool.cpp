// SPDX-License-Identifier: GPL-2.0-or-later
// Making, changing and destroying pools of CPUs, and moving domains and CPUs between them.
#include "core/cpupool.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "core/affinity.hpp"
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/evtchn.hpp"
#include "core/per_cpu.hpp"
#include "core/scheduler.hpp"
#include "mm/box.hpp"

namespace domus::core {

namespace {

constexpr usize kAlign = 64;
constexpr u32 kMostPools = 4096;

// Under the lock.
constinit SpinLock lock{Rank::cpupools};
constinit CpuPool first{};
constinit u32 pool_count = 1;

// The place in the list of the first pool with an id not below this.
CpuPool** place_of(u32 id) {
    static constinit CpuPool* head = &first;
    CpuPool** at = &head;
    while (*at != nullptr && (*at)->id < id) at = &(*at)->next;
    return at;
}
CpuPool* find(u32 id) {
    CpuPool* p = *place_of(id);
    return p != nullptr && p->id == id ? p : nullptr;
}

void free_pool(void* arg) {
    auto* pool = static_cast<CpuPool*>(arg);
    deallocate(pool->engine, pool->storage_size, kAlign);
    Box<CpuPool>::adopt(pool).reset();
}

bool exists(CpuId cpu) { return cpu.v < port::cpu_count(); }
bool is_in(const CpuPool& pool, CpuId cpu) { return scheduler().pool_of(cpu) == pool.engine; }

// Calls f(Vcpu&) for each vCPU of a pool's domains.
template <class F>
void for_each_vcpu_in(const CpuPool& pool, F&& f) {
    for (Domain* d = next_domain(DomId(0)); d != nullptr; d = next_domain(d->id + 1))
        if (d->pool == &pool) for_each_vcpu(*d, f);
}

// The pool's id, of a CPU that was told to leave it and has not yet.
constexpr u32 kNotLeaving = ~u32{0};
struct Place {
    u32 pool = kNotLeaving;
    bool offline = false;
};
constinit PerCpu<Place> places;

bool is_free(CpuId cpu) {
    return !places.of(cpu).offline && scheduler().pool_of(cpu) == nullptr && scheduler().cpu_left(cpu);
}

bool somebody_leaves(u32 pool) {
    for (CpuId cpu{0}; exists(cpu); ++cpu)
        if (places.of(cpu).pool == pool) return true;
    return false;
}

}  // namespace

SpinLock& pools_lock() { return lock; }
u32 cpu_set_words() { return (port::cpu_count() + 63) / 64; }

Result<> init_pools() {
    first = {};
    pool_count = 1;
    *place_of(0) = &first;
    first.engine = &scheduler().first_pool();
    return attach_per_cpu(places);
}

Result<u32> create_pool(std::optional<u32> id, const sched::Policy& policy) {
    Box<CpuPool> pool = TRY(make<CpuPool>());
    const usize size = scheduler().pool_size(policy);
    void* const memory = TRY(allocate(size, kAlign));
    auto* const bytes = static_cast<unsigned char*>(memory);
    pool->storage_size = size;
    const auto give_up = [&](Error e) {
        deallocate(memory, size, kAlign);
        return fail(e);
    };
    LockGuard guard(lock);
    if (pool_count >= kMostPools) return give_up(Error::nospc);
    const Result<sched::Pool*> made = scheduler().make_pool({bytes, size}, policy);
    if (!made) return give_up(made.error());
    pool->engine = *made;
    pool->engine->params = first.engine->params;
    u32 number = id.value_or(0);
    if (id) {
        if (find(number) != nullptr) return give_up(Error::exist);
    } else {
        for (CpuPool* p = &first; p != nullptr; p = p->next) number = p->id + 1;
        // The highest is taken: the lowest that is free.
        if (number == ~u32{0} || number == 0)
            for (number = 1; find(number) != nullptr;) number++;
    }
    pool->id = number;
    CpuPool** const at = place_of(number);
    pool->next = *at;
    *at = pool.release();
    pool_count++;
    return number;
}

Result<> destroy_pool(u32 id) {
    LockGuard guard(lock);
    CpuPool** const at = place_of(id);
    CpuPool* const pool = *at;
    if (pool == nullptr || pool->id != id) return fail(Error::noent);
    if (pool == &first || pool->domains != 0 || pool->engine->cpus.load() != 0 || somebody_leaves(id))
        return fail(Error::busy);
    *at = pool->next;
    pool_count--;
    // A CPU may just be looking at a queue that its own was before, or that of a unit.
    defer(pool->deferred, free_pool, pool);
    return {};
}

Result<PoolInfo> describe_pool(u32 at_least) {
    LockGuard guard(lock);
    const CpuPool* const pool = *place_of(at_least);
    if (pool == nullptr) return fail(Error::noent);
    return PoolInfo{
        .id = pool->id, .policy = pool->engine->policy, .engine = pool->engine, .domains = pool->domains};
}

Result<PoolInfo> pool_info(u32 at_least, std::span<u64> cpus) {
    const PoolInfo info = TRY(describe_pool(at_least));
    std::ranges::fill(cpus, 0);
    for (CpuId cpu{0}; exists(cpu); ++cpu)
        if (scheduler().pool_of(cpu) == info.engine) cpus[cpu.v / 64] |= u64{1} << (cpu.v % 64);
    return info;
}

void free_cpus(std::span<u64> cpus) {
    LockGuard guard(lock);
    std::ranges::fill(cpus, 0);
    for (CpuId cpu{0}; exists(cpu); ++cpu)
        if (!places.of(cpu).offline && scheduler().pool_of(cpu) == nullptr)
            cpus[cpu.v / 64] |= u64{1} << (cpu.v % 64);
}

Result<> pool_add_cpu(u32 id, std::optional<CpuId> cpu) {
    LockGuard guard(lock);
    CpuPool* const pool = find(id);
    if (pool == nullptr) return fail(Error::noent);
    if (!cpu) {
        for (CpuId c{0}; exists(c) && !cpu; ++c)
            if (is_free(c)) cpu = c;
        if (!cpu) return fail(Error::nodev);
    }
    if (!exists(*cpu)) return fail(Error::inval);
    if (scheduler().pool_of(*cpu) != nullptr) return fail(Error::nodev);
    if (places.of(*cpu).offline) return fail(Error::nodev);
    if (!is_free(*cpu)) return fail(Error::addrnotavail);
    places.of(*cpu).pool = kNotLeaving;
    scheduler().add_cpu(*pool->engine, *cpu);
    return {};
}

namespace {

// The caller comes again for a CPU that does not leave at once.
Result<> finish_removal(CpuId cpu) {
    if (!scheduler().cpu_left(cpu)) return fail(Error::restart);
    places.of(cpu).pool = kNotLeaving;
    return {};
}

// `cpu` is in the pool.
Result<> remove_locked(CpuPool& pool, CpuId cpu) {
    if (pool.domains != 0 && pool.engine->cpus.load() == 1) return fail(Error::busy);
    bool bound = false;
    for_each_vcpu_in(pool, [&](Vcpu& v) {
        const u64* hard = v.affinity.hard(v.affinity.side, cpu_set_words());
        bound = bound || (v.affinity.overridden && (hard[cpu.v / 64] >> (cpu.v % 64) & 1) != 0);
    });
    if (bound) return fail(Error::addrinuse);
    for_each_vcpu_in(pool, [cpu](Vcpu& v) { keep_runnable(v, cpu); });
    places.of(cpu).pool = pool.id;
    scheduler().remove_cpu(cpu, port::now());
    return finish_removal(cpu);
}

CpuPool* pool_of(CpuId cpu) {
    for (CpuPool* p = &first; p != nullptr; p = p->next)
        if (is_in(*p, cpu)) return p;
    return nullptr;
}

}  // namespace

Result<> pool_remove_cpu(u32 id, std::optional<CpuId> cpu) {
    LockGuard guard(lock);
    CpuPool* const pool = find(id);
    if (pool == nullptr) return fail(Error::noent);
    for (CpuId c{0}; exists(c); ++c)
        if (places.of(c).pool == id && (!cpu || *cpu == c)) return finish_removal(c);
    if (!cpu) {
        for (CpuId c{0}; exists(c); ++c)
            if (is_in(*pool, c)) cpu = c;
        if (!cpu) return fail(Error::nodev);
    }
    if (!exists(*cpu)) return fail(Error::inval);
    if (!is_in(*pool, *cpu)) return fail(Error::addrnotavail);
    return remove_locked(*pool, *cpu);
}

bool cpu_online(CpuId cpu) {
    return exists(cpu) && !__atomic_load_n(&places.of(cpu).offline, __ATOMIC_RELAXED);
}

u32 online_cpus() {
    u32 count = 0;
    for (CpuId cpu{0}; exists(cpu); ++cpu) count += cpu_online(cpu) ? 1 : 0;
    return count;
}

Result<> take_cpu_offline(CpuId cpu) {
    {
        LockGuard guard(lock);
        if (!exists(cpu) || cpu.v == 0) return fail(Error::inval);
        if (places.of(cpu).offline) return {};
        if (places.of(cpu).pool != kNotLeaving) {
            TRY(finish_removal(cpu));
        } else if (CpuPool* const pool = pool_of(cpu)) {
            TRY(remove_locked(*pool, cpu));
        }
        __atomic_store_n(&places.of(cpu).offline, true, __ATOMIC_RELAXED);
    }
    log(Level::info, "CPU {} is offline: it runs no domain", cpu);
    send_global_virq(VIRQ_PCPU_STATE);
    return {};
}

Result<> bring_cpu_online(CpuId cpu) {
    {
        LockGuard guard(lock);
        if (!exists(cpu)) return fail(Error::inval);
        if (!places.of(cpu).offline) return fail(Error::exist);
        __atomic_store_n(&places.of(cpu).offline, false, __ATOMIC_RELAXED);
        scheduler().add_cpu(*first.engine, cpu);
    }
    log(Level::info, "CPU {} is online", cpu);
    send_global_virq(VIRQ_PCPU_STATE);
    return {};
}

Result<> move_domain(Domain& d, u32 id) {
    pause_domain_sync(d);
    const auto move = [&]() -> Result<> {
        LockGuard guard(lock);
        CpuPool* const pool = find(id);
        if (pool == nullptr || pool->engine->cpus.load() == 0) return fail(Error::noent);
        if (d.pool == pool) return {};
        const Nanos now = port::now();
        d.pool->domains--;
        pool->domains++;
        d.pool = pool;
        d.share = {};
        d.sched_group.set_cap(0, now);
        for_each_vcpu(d, [&](Vcpu& v) {
            scheduler().move_unit(v.sched, *pool->engine, now);
            keep_runnable(v, std::nullopt);
        });
        return {};
    };
    const Result<> moved = move();
    unpause_domain(d);
    return moved;
}

Result<> join_pool(Domain& d, u32 id) {
    LockGuard guard(lock);
    CpuPool* const pool = find(id);
    if (pool == nullptr) return fail(Error::noent);
    d.pool = pool;
    pool->domains++;
    return {};
}

void leave_pool(Domain& d) {
    LockGuard guard(lock);
    if (d.pool != nullptr) d.pool->domains--;
    d.pool = nullptr;
}

Result<sched::Pool*> find_pool(u32 id) {
    LockGuard guard(lock);
    CpuPool* const pool = find(id);
    if (pool == nullptr) return fail(Error::srch);
    return pool->engine;
}

}  // namespace domus::core
