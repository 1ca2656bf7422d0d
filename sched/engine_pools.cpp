// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's pools: making them, and moving CPUs and units between them.
#include <bit>
#include <cstring>
#include <new>

#include "base/assert.hpp"
#include "sched/engine_parts.hpp"

namespace domus::sched {

namespace {

struct Shape {
    u32 queues = 0, cpus_per_queue = 0;
};

// Queues of about the same size, none larger than the limit.
Shape shape_of(u32 cpus, const Policy& policy, u32 cpus_per_queue) {
    const u32 limit = cpus_per_queue != 0 ? cpus_per_queue : policy.cpus_per_queue();
    if (cpus == 0 || limit == 0 || limit > kMaxCpusPerQueue) return {};
    const u32 fewest = (cpus + limit - 1) / limit;
    const u32 each = (cpus + fewest - 1) / fewest;
    return {.queues = (cpus + each - 1) / each, .cpus_per_queue = each};
}

constexpr usize kAlign = alignof(Queue);
constexpr usize kPoolSize = round_up(sizeof(Pool), kAlign);

}  // namespace

usize Engine::pool_storage(u32 cpus, const Policy& policy, u32 cpus_per_queue) {
    const Shape shape = shape_of(cpus, policy, cpus_per_queue);
    return kPoolSize + shape.queues * sizeof(Queue) + round_up(policy.pool_space(), kAlign);
}

usize Engine::storage_size(u32 cpus, const Policy& policy, u32 cpus_per_queue) {
    return cpus * sizeof(Cpu) + sizeof(Queue) + pool_storage(cpus, policy, cpus_per_queue);
}

Result<> Engine::init(u32 cpus, const Policy& policy, std::span<unsigned char> storage, u32 cpus_per_queue) {
    if (storage.size() < storage_size(cpus, policy, cpus_per_queue) ||
        reinterpret_cast<usize>(storage.data()) % kAlign != 0)
        return fail(Error::inval);
    cpu_count_ = cpus;
    cpus_ = reinterpret_cast<Cpu*>(storage.data());
    limbo_ = new (storage.data() + cpus * sizeof(Cpu)) Queue;
    limbo_->cpu_count = cpus;
    limbo_->cpus = cpus_;
    for (u32 i = 0; i < cpus; i++) {
        Cpu* cpu = new (&cpus_[i]) Cpu;
        cpu->id = CpuId(i);
        cpu->queue.store(limbo_, std::memory_order_relaxed);
    }
    first_pool_ = TRY(make_pool(storage.subspan(cpus * sizeof(Cpu) + sizeof(Queue)), policy, cpus_per_queue));
    for (u32 i = 0; i < cpus; i++) put_cpu(*first_pool_, cpus_[i]);
    return {};
}

Result<Pool*> Engine::make_pool(std::span<unsigned char> storage, const Policy& policy, u32 cpus_per_queue) {
    const Shape shape = shape_of(cpu_count_, policy, cpus_per_queue);
    if (shape.queues == 0 || storage.size() < pool_storage(cpu_count_, policy, cpus_per_queue) ||
        reinterpret_cast<usize>(storage.data()) % kAlign != 0)
        return fail(Error::inval);
    Pool* const pool = new (storage.data()) Pool;
    pool->policy = &policy;
    pool->queues = reinterpret_cast<Queue*>(storage.data() + kPoolSize);
    pool->queue_count = shape.queues;
    pool->cpus_per_queue = shape.cpus_per_queue;
    pool->space = storage.data() + kPoolSize + shape.queues * sizeof(Queue);
    std::memset(pool->space, 0, policy.pool_space());
    for (u32 i = 0; i < shape.queues; i++) {
        Queue* q = new (&pool->queues[i]) Queue;
        q->index = i;
        q->first_cpu = i * shape.cpus_per_queue;
        q->cpu_count = i + 1 < shape.queues ? shape.cpus_per_queue : cpu_count_ - q->first_cpu;
        q->cpus = &cpus_[q->first_cpu];
        q->pool = pool;
        q->params = &pool->params;
        policy.init_queue(*q);
    }
    policy.init_pool(*pool);
    return pool;
}

Pool* Engine::pool_of(CpuId cpu) const {
    const Queue& q = *cpus_[cpu.v].queue.load(std::memory_order_acquire);
    return q.pool != nullptr && (q.members() & cpus_[cpu.v].bit()) != 0 ? q.pool : nullptr;
}

void Engine::put_cpu(Pool& pool, Cpu& cpu) {
    Queue& q = pool.queues[cpu.id.v / pool.cpus_per_queue];
    {
        LockGuard guard(limbo_->lock);
        ASSERT(cpu.queue.load(std::memory_order_relaxed) == limbo_);
        cpu.queue.store(&q, std::memory_order_release);
    }
    LockGuard guard(q.lock);
    const u64 bit = cpu.bit();
    cpu.deadline = port::kNever;
    q.online.store(q.members() | bit, std::memory_order_relaxed);
    q.tickled &= ~bit;
    q.idle.store(q.idle.load(std::memory_order_relaxed) | bit, std::memory_order_seq_cst);
    pool.policy->cpu_added(q, cpu);
    pool.cpus.fetch_add(1, std::memory_order_relaxed);
}

void Engine::add_cpu(Pool& pool, CpuId cpu) {
    put_cpu(pool, cpus_[cpu.v]);
    // Somebody may have waited for it.
    tell(cpu.v);
}

void Engine::remove_cpu(CpuId id, Nanos now) {
    Cpu& cpu = cpus_[id.v];
    Queue& q = *cpu.queue.load(std::memory_order_acquire);
    u32 watcher = kNone;
    {
        LockGuard guard(q.lock);
        const u64 bit = cpu.bit();
        if (q.pool == nullptr || (q.members() & bit) == 0) return;
        q.online.store(q.members() & ~bit, std::memory_order_relaxed);
        q.idle.store(q.idle.load(std::memory_order_relaxed) & ~bit, std::memory_order_relaxed);
        q.tickled &= ~bit;
        q.pool->policy->cpu_removed(q, cpu);
        q.pool->cpus.fetch_sub(1, std::memory_order_relaxed);
        if (q.watcher == id.v) {
            q.watcher = kNone;
            q.watched = port::kNever;
            if (!q.parked.empty() && q.members() != 0)
                watcher = q.first_cpu + static_cast<u32>(std::countr_zero(q.members()));
        }
    }
    tell(id.v);
    tell(watcher);
    push_out(q, now);
}

// Moves units that wait in `q`, but may run on none of its CPUs, to where they may.
void Engine::push_out(Queue& q, Nanos now) {
    const Pool& pool = *q.pool;
    const auto home_of = [&pool](const Unit& u) -> Queue* {
        for (u32 i = 0; i < pool.queue_count; i++)
            if (pool.queues[i].allowed(u) != 0) return &pool.queues[i];
        return nullptr;
    };
    const auto stuck = [&](const Unit& u) { return q.allowed(u) == 0 && home_of(u) != nullptr; };
    for (;;) {
        Unit* u;
        {
            LockGuard guard(q.lock);
            u = q.waiting.first_of(stuck);
            if (u == nullptr) u = q.parked.first_of(stuck);
            if (u == nullptr) return;
            Queue* home = home_of(*u);
            detach(q, *u, now);
            u->wanted_queue = kNone;
            u->cpu = CpuId(home->first_cpu);
            u->queue.store(home, std::memory_order_release);
        }
        Targets targets;
        {
            Locked held(*u);
            if (u->runnable && !u->waiting() && !u->running.load(std::memory_order_relaxed))
                targets = settle(held, *u, now, Why::moved);
        }
        targets.tell();
    }
}

bool Engine::cpu_left(CpuId id) {
    Cpu& cpu = cpus_[id.v];
    Queue& q = *cpu.queue.load(std::memory_order_acquire);
    if (&q == limbo_) return true;
    LockGuard guard(q.lock);
    if (cpu.current != nullptr || (q.members() & cpu.bit()) != 0) return false;
    cpu.queue.store(limbo_, std::memory_order_release);
    return true;
}

Queue& Engine::quietest(Pool& pool, const Unit& u) {
    Queue* best = nullptr;
    for (u32 i = 0; i < pool.queue_count; i++) {
        Queue& q = pool.queues[i];
        if (q.allowed(u) == 0) continue;
        if (best == nullptr || q.units * best->size() < best->units * q.size()) best = &q;
    }
    return best != nullptr ? *best : pool.queues[0];
}

void Engine::detach(Queue& q, Unit& u, Nanos now) {
    if (u.waiting()) q.take(u);
    if (!u.attached) return;
    q.pool->policy->detach(q, u, now);
    q.units--;
    u.attached = false;
}

void Engine::move_unit(Unit& u, Pool& pool, Nanos now) {
    {
        Locked held(u);
        ASSERT(!u.runnable && !u.running.load(std::memory_order_relaxed));
        Queue& from = held.queue();
        detach(from, u, now);
        from.pool->units.fetch_sub(1, std::memory_order_relaxed);
        Queue& to = quietest(pool, u);
        u.policy = {};
        u.wanted_queue = kNone;
        u.cpu = CpuId(to.first_cpu);
        pool.policy->init_unit(u);
        pool.units.fetch_add(1, std::memory_order_relaxed);
        u.queue.store(&to, std::memory_order_release);
    }
    Locked held(u);
    if (u.attached) return;
    u.attached = true;
    held.queue().units++;
    held.policy().attach(held.queue(), u, now);
}

void Engine::look_again(Pool& pool) {
    for (u32 i = 0; i < pool.queue_count; i++)
        for (u64 cpus = pool.queues[i].members(); cpus != 0; cpus &= cpus - 1)
            tell(pool.queues[i].first_cpu + static_cast<u32>(std::countr_zero(cpus)));
}

}  // namespace domus::sched
