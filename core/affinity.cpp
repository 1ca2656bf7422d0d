// SPDX-License-Identifier: GPL-2.0-or-later
// Affinity and shares, kept under the pools' lock and passed on to the scheduler.
#include "core/affinity.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "core/cpupool.hpp"
#include "core/domain.hpp"
#include "core/scheduler.hpp"
#include "mm/objects.hpp"
#include "port/time.hpp"

namespace domus::core {

namespace {

using Set = std::span<u64>;
using ConstSet = std::span<const u64>;

usize storage_size() { return usize{Affinity::kSets} * cpu_set_words() * sizeof(u64); }

void set_all(Set set) {
    const u32 cpus = port::cpu_count();
    for (u32 i = 0; i < set.size(); i++) {
        const u32 left = cpus - std::min(cpus, i * 64);
        set[i] = left >= 64 ? ~u64{0} : (u64{1} << left) - 1;
    }
}

// The current sets.
Set hard_of(const Vcpu& v) { return {v.affinity.hard(v.affinity.side, cpu_set_words()), cpu_set_words()}; }
Set soft_of(const Vcpu& v) { return {v.affinity.soft(v.affinity.side, cpu_set_words()), cpu_set_words()}; }

// Gives both sets to the scheduler. On an error nothing has changed.
Result<> apply(Vcpu& v, ConstSet hard, ConstSet soft) {
    Affinity& a = v.affinity;
    const u32 words = cpu_set_words(), other = a.side ^ 1;
    std::copy_n(hard.data(), words, a.hard(other, words));
    std::copy_n(soft.data(), words, a.soft(other, words));
    TRY(scheduler().set_affinity(v.sched, {a.hard(other, words), words}, {a.soft(other, words), words},
                                 port::now()));
    a.side = other;
    return {};
}

bool in_pool(const Vcpu& v, CpuId cpu) {
    return cpu.v < port::cpu_count() && scheduler().pool_of(cpu) == v.domain->pool->engine;
}

bool has(ConstSet set, CpuId cpu) { return (set[cpu.v / 64] >> (cpu.v % 64) & 1) != 0; }

}  // namespace

Result<> create_affinity(Vcpu& v) {
    void* const memory = TRY(allocate(storage_size()));
    v.affinity.words = static_cast<u64*>(memory);
    std::fill_n(v.affinity.words, Affinity::kSets * cpu_set_words(), u64{0});
    set_all(hard_of(v));
    set_all(soft_of(v));
    return {};
}

Affinity::~Affinity() {
    if (words != nullptr) deallocate(words, storage_size());
}

void get_affinity(Vcpu& v, Set hard, Set soft) {
    LockGuard guard(pools_lock());
    const u32 words = cpu_set_words();
    const u64* nominal = v.affinity.overridden ? v.affinity.hidden(words) : hard_of(v).data();
    std::copy_n(nominal, words, hard.data());
    std::copy_n(soft_of(v).data(), words, soft.data());
}

Result<> set_affinity(Vcpu& v, std::optional<ConstSet> hard, std::optional<ConstSet> soft,
                      bool undo_override) {
    LockGuard guard(pools_lock());
    Affinity& a = v.affinity;
    const u32 words = cpu_set_words();
    if (a.overridden && hard && !undo_override) return fail(Error::busy);
    if (a.overridden && undo_override) {
        const ConstSet restored = hard ? *hard : ConstSet(a.hidden(words), words);
        TRY(apply(v, restored, soft ? *soft : soft_of(v)));
        a.overridden = false;
        return {};
    }
    if (!hard && !soft) return {};
    return apply(v, hard ? *hard : hard_of(v), soft ? *soft : soft_of(v));
}

void effective_affinity(Vcpu& v, Set hard, Set soft) {
    LockGuard guard(pools_lock());
    std::ranges::fill(hard, 0);
    std::ranges::fill(soft, 0);
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu) {
        if (!in_pool(v, cpu) || !has(hard_of(v), cpu)) continue;
        const u64 bit = u64{1} << (cpu.v % 64);
        hard[cpu.v / 64] |= bit;
        if (has(soft_of(v), cpu)) soft[cpu.v / 64] |= bit;
    }
}

Result<> override_affinity(Vcpu& v, std::optional<CpuId> cpu) {
    LockGuard guard(pools_lock());
    Affinity& a = v.affinity;
    const u32 words = cpu_set_words();
    if (!cpu) {
        if (!a.overridden) return fail(Error::noent);
        TRY(apply(v, ConstSet(a.hidden(words), words), soft_of(v)));
        a.overridden = false;
        return {};
    }
    if (a.overridden) return fail(Error::busy);
    if (!in_pool(v, *cpu)) return fail(Error::inval);
    // The set that is not in use is free to be read from by apply() and written by nobody else.
    std::copy_n(hard_of(v).data(), words, a.hidden(words));
    u64* const only = a.hard(a.side ^ 1, words);
    std::fill_n(only, words, u64{0});
    only[cpu->v / 64] = u64{1} << (cpu->v % 64);
    TRY(apply(v, ConstSet(only, words), soft_of(v)));
    a.overridden = true;
    return {};
}

void keep_runnable(Vcpu& v, std::optional<CpuId> leaving) {
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu)
        if (in_pool(v, cpu) && cpu != leaving && has(hard_of(v), cpu)) return;
    log(Level::info, "d{}v{} may run on all CPUs: its pool has none of those that it was restricted to",
        v.domain->id, v.id);
    Affinity& a = v.affinity;
    u64* const all = a.hard(a.side ^ 1, cpu_set_words());
    set_all({all, cpu_set_words()});
    // Fails where the pool has no CPUs at all: then it waits for one.
    static_cast<void>(apply(v, ConstSet(all, cpu_set_words()), soft_of(v)));
}

// ---- shares -----------------------------------------------------------------------------------------

const sched::Policy& policy_of(const Domain& d) {
    LockGuard guard(pools_lock());
    return *d.pool->engine->policy;
}

Result<DomainShare> domain_share(Domain& d) {
    LockGuard guard(pools_lock());
    if (!d.pool->engine->policy->has_shares()) return fail(Error::inval);
    return d.share;
}

Result<> set_domain_share(Domain& d, DomainShare share) {
    LockGuard guard(pools_lock());
    if (!d.pool->engine->policy->has_shares() || share.weight == 0) return fail(Error::inval);
    u32 vcpus = 0;
    for_each_vcpu(d, [&vcpus](Vcpu&) { vcpus++; });
    if (share.cap > 100 * vcpus) return fail(Error::inval);
    const Nanos now = port::now();
    Result<> done;
    for_each_vcpu(d, [&](Vcpu& v) {
        const Result<> r = scheduler().set_share(v.sched, {.weight = share.weight}, now);
        if (!r) done = r;
    });
    TRY(done);
    if (share.cap != d.share.cap) {
        d.sched_group.set_cap(share.cap, now);
        // Whoever runs now finds out about a new cap when it looks.
        scheduler().change_pool(*d.pool->engine, [] {});
    }
    d.share = share;
    return {};
}

Result<sched::Reservation> vcpu_reservation(Vcpu& v) {
    LockGuard guard(pools_lock());
    return scheduler().reservation(v.sched);
}

Result<> set_vcpu_reservation(Vcpu& v, sched::Reservation reservation) {
    LockGuard guard(pools_lock());
    return scheduler().set_reservation(v.sched, reservation, port::now());
}

}  // namespace domus::core
