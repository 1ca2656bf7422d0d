// SPDX-License-Identifier: GPL-2.0-or-later
// The engine: waking, sleeping and switching, under one run queue's lock at a time. Pools are in
// engine_pools.cpp.
//
// A unit belongs to one queue at a time, Unit::queue. That changes only under the lock of the queue it leaves
// and while the unit neither waits nor runs, so holding the lock of a unit's queue holds the unit still. Two
// queue locks are never held together: between leaving one queue and joining another a unit is in transit,
// and whoever finds it first there, the mover or somebody who wakes it, completes the move (settle).
#include <bit>

#include "base/assert.hpp"
#include "sched/engine_parts.hpp"
#include "sched/observer.hpp"

namespace domus::sched {

namespace {

constexpr Nanos kTurn = 20 * kMillisecond;
constexpr Nanos kLeastPark = kMillisecond / 10;  // should a policy release a unit at a time that has passed

constinit std::atomic<StateObserver> state_observer{nullptr};

void enter(Unit& u, RunState state, Nanos now) {
    if (const StateObserver observer = state_observer.load(std::memory_order_relaxed)) [[unlikely]]
        if (u.state != state) observer(u, u.state, state);
    if (now > u.since) {
        u.time[static_cast<u32>(u.state)] += now - u.since;
        u.since = now;
    }
    u.state = state;
}

}  // namespace

void observe_states(StateObserver observer) { state_observer.store(observer, std::memory_order_relaxed); }

void Engine::add_unit(Unit& u, Pool& pool, Nanos now) {
    ASSERT(!u.attached && !u.waiting());
    u.hard = u.soft = {};
    u.state = u.sleep_state = RunState::offline;
    u.since = now;
    pool.policy->init_unit(u);
    // Start where the fewest live; its first wake-up may still find an idle CPU elsewhere.
    Queue& q = quietest(pool, u);
    u.cpu = CpuId(q.first_cpu);
    u.queue.store(&q, std::memory_order_relaxed);
    pool.units.fetch_add(1, std::memory_order_relaxed);
    if (u.group != nullptr) u.group->join();

    LockGuard guard(q.lock);
    u.attached = true;
    q.units++;
    pool.policy->attach(q, u, now);
}

void Engine::remove_unit(Unit& u, Nanos now) {
    Locked held(u);
    Queue& q = held.queue();
    ASSERT(!u.runnable && !u.running.load(std::memory_order_relaxed));
    detach(q, u, now);
    enter(u, RunState::offline, now);
    q.pool->units.fetch_sub(1, std::memory_order_relaxed);
    if (u.group != nullptr) u.group->leave();
    // It may have kept a place that others wait for.
    if (!q.waiting.empty())
        for (u64 cpus = q.members(); cpus != 0; cpus &= cpus - 1)
            tell(q.first_cpu + static_cast<u32>(std::countr_zero(cpus)));
}

void Engine::wake(Unit& u, Nanos now) {
    Targets targets;
    {
        Locked held(u);
        if (u.runnable) return;
        u.runnable = true;
        if (u.running.load(std::memory_order_relaxed)) {
            // Still on its CPU. If it is current there, schedule() finds it runnable again and goes on with
            // it; if its registers are just being saved, switched_out() puts it back into the queue.
            if (u.state != RunState::running) enter(u, RunState::runnable, now);
            return;
        }
        enter(u, RunState::runnable, now);
        targets = settle(held, u, now, Why::woken);
    }
    targets.tell();
}

void Engine::sleep(Unit& u, Nanos now, RunState state) {
    u32 cpu = kNone;
    {
        Locked held(u);
        u.runnable = false;
        u.sleep_state = state;
        if (u.waiting()) held.queue().take(u);
        if (u.state == RunState::running)
            cpu = u.cpu.v;
        else
            enter(u, state, now);
    }
    tell(cpu);
}

void Engine::yield(Unit& u) {
    {
        Locked held(u);
        if (held.queue().waiting.empty()) return;
        u.yielded = true;
    }
    port::raise_work(port::Work::schedule);
}

void Engine::wait_off_cpu(const Unit& u) const {
    while (u.running.load(std::memory_order_acquire)) port::relax();
}

// Puts a unit that should wait into a queue where it may, and returns the CPUs to tell.
Engine::Targets Engine::settle(Locked& held, Unit& u, Nanos now, Why why) {
    for (;;) {
        Queue& q = held.queue();
        Queue& home = choose_queue(u, q, now, why);
        if (&home == &q) break;
        detach(q, u, now);
        u.wanted_queue = kNone;
        u.cpu = CpuId(home.first_cpu);
        u.queue.store(&home, std::memory_order_release);
        held.relock(u);
        // The unit was in nobody's hands for a moment.
        if (!u.runnable || u.waiting() || u.running.load(std::memory_order_relaxed)) return {};
        why = Why::moved;
    }
    Queue& q = held.queue();
    if (!u.attached) {
        u.attached = true;
        q.units++;
        held.policy().attach(q, u, now);
    }
    held.policy().order(q, u, now, why);
    q.put(u);
    return u.parked ? watch_for(q, u) : choose_cpus(q, u, now);
}

// Another queue with an idle CPU that `u` prefers, if its own has no CPU that it prefers; or null.
Queue* Engine::preferred_queue(const Unit& u, const Queue& home) {
    if (u.soft.everything() || (home.allowed(u) & u.soft.window(home.first_cpu)) != 0) return nullptr;
    const Pool& pool = *home.pool;
    for (u32 i = 0; i < pool.queue_count; i++) {
        Queue& q = pool.queues[i];
        const u64 idle = q.idle.load(std::memory_order_relaxed) & q.allowed(u);
        if ((idle & u.soft.window(q.first_cpu)) != 0) return &q;
    }
    return nullptr;
}

// The queue where `u` should wait, which is `home` unless there is a reason.
Queue& Engine::choose_queue(const Unit& u, Queue& home, Nanos now, Why why) {
    const Pool& pool = *home.pool;
    if (pool.queue_count == 1) return home;
    if (u.wanted_queue != kNone && pool.queues[u.wanted_queue].allowed(u) != 0)
        return pool.queues[u.wanted_queue];
    const u64 allowed = home.allowed(u);
    const bool turn = why == Why::preempted && now - home.balanced >= kTurn;
    if (allowed != 0) {
        if (pool.policy->keeps(home, u)) return home;
        if (why == Why::moved || (why == Why::preempted && !turn) || !pool.policy->balances()) return home;
        if (Queue* const softer = preferred_queue(u, home)) return *softer;
        if ((home.idle.load(std::memory_order_relaxed) & ~home.tickled & allowed) != 0) return home;
    }
    // Whoever wakes up goes elsewhere only if there are fewer even with it, since its data are here. Where
    // equal numbers are impossible, three units on two CPUs, say, those that lose their CPU take turns in
    // moving, so that all get the same in the long run.
    const u32 extra = why == Why::woken && allowed != 0 ? 2 : 1;
    Queue* best = &home;
    u64 best_load = allowed != 0 ? u64{home.load()} + 1 : ~u32{0}, best_cpus = home.size();
    if (best_cpus == 0) best_cpus = 1;
    for (u32 n = 1; n < pool.queue_count; n++) {  // from the neighbour on, so that all have their turn
        Queue& q = pool.queues[(home.index + n) % pool.queue_count];
        const u64 load = u64{q.load()} + extra, cpus = q.size();
        if (q.allowed(u) == 0 || load * best_cpus > best_load * cpus) continue;
        if (best != &home && load * best_cpus == best_load * cpus) continue;
        best = &q;
        best_load = load;
        best_cpus = cpus;
    }
    if (turn && best != &home) home.balanced = now;
    return *best;
}

// Which CPUs should look at the newly waiting unit `u`? An idle one if there is one, by preference where it
// ran last.
Engine::Targets Engine::choose_cpus(Queue& q, const Unit& u, Nanos now) {
    const u64 allowed = q.allowed(u);
    const u64 idle = q.idle.load(std::memory_order_relaxed) & allowed & ~q.tickled;
    if (idle != 0) {
        const u64 soft = idle & u.soft.window(q.first_cpu);
        u64 choice = soft != 0 ? soft : idle;
        const u64 last = u64{1} << (u.cpu.v - q.first_cpu);
        if ((choice & last) != 0) choice = last;
        const u32 bit = static_cast<u32>(std::countr_zero(choice));
        q.tickled |= u64{1} << bit;
        return {.first = q.first_cpu + bit};
    }
    // A CPU of another queue may have found something else by the time it comes, so the unit is also given
    // its chance here.
    Targets targets{.second = idle_elsewhere(q, u, kNone)};
    const u64 busy = allowed & ~q.idle.load(std::memory_order_relaxed);
    if (busy != 0)
        if (const Cpu* cpu = q.pool->policy->preempts(q, u, busy, now)) targets.first = cpu->id.v;
    return targets;
}

// An idle CPU of another queue, which will come and fetch work when told to look (pull). Reads other queues
// without their locks: they publish `idle` before they look for waiting units, and we publish the waiting
// unit before we look for idle CPUs, so one of the two sees the other.
u32 Engine::idle_elsewhere(const Queue& home, const Unit& u, u32 except) const {
    const Pool& pool = *home.pool;
    if (pool.queue_count == 1 || !pool.policy->balances()) return kNone;
    for (u32 i = 0; i < pool.queue_count; i++) {
        const Queue& q = pool.queues[i];
        if (&q == &home) continue;
        u64 idle = q.idle.load(std::memory_order_seq_cst) & q.allowed(u);
        if (except != kNone && cpus_[except].queue.load(std::memory_order_relaxed) == &q)
            idle &= ~cpus_[except].bit();
        if (idle != 0) return q.first_cpu + static_cast<u32>(std::countr_zero(idle));
    }
    return kNone;
}

// For a CPU with nothing to do: brings a unit that waits elsewhere into its queue. True if there was one.
bool Engine::pull(Cpu& cpu, Nanos now) {
    Queue& home = *cpu.queue.load(std::memory_order_acquire);
    if (home.pool == nullptr || (home.members() & cpu.bit()) == 0) return false;
    const Pool& pool = *home.pool;
    for (u32 n = 1; n < pool.queue_count; n++) {
        Queue& q = pool.queues[(home.index + n) % pool.queue_count];
        if (q.waiting_count.load(std::memory_order_seq_cst) == 0) continue;
        Unit* u;
        {
            LockGuard guard(q.lock);
            u = pool.policy->spare(q, cpu);
            if (u == nullptr) continue;
            detach(q, *u, now);
            u->cpu = cpu.id;
            u->queue.store(&home, std::memory_order_release);
        }
        Targets targets;
        {
            Locked held(*u);
            if (u->runnable && !u->waiting() && !u->running.load(std::memory_order_relaxed))
                targets = settle(held, *u, now, Why::moved);
        }
        if (targets.first == cpu.id.v) targets.first = kNone;  // it is about to look
        targets.tell();
        return true;
    }
    return false;
}

// A CPU that was idle has found work, perhaps other work than it was told for. If a unit still waits that an
// idle CPU of another queue could run, tells that CPU, which will do the same in its turn.
void Engine::pass_on(const Cpu& cpu) {
    const Pool& pool = *cpu.queue.load(std::memory_order_relaxed)->pool;
    u64 idle = 0;
    for (u32 i = 0; i < pool.queue_count; i++) idle |= pool.queues[i].idle.load(std::memory_order_seq_cst);
    if (idle == 0) return;
    for (u32 i = 0; i < pool.queue_count; i++) {
        Queue& q = pool.queues[i];
        if (q.waiting_count.load(std::memory_order_seq_cst) == 0) continue;
        u32 next = kNone;
        {
            LockGuard guard(q.lock);
            static_cast<void>(q.waiting.first_of(
                [&](const Unit& u) { return (next = idle_elsewhere(q, u, cpu.id.v)) != kNone; }));
        }
        if (next != kNone) return tell(next);
    }
}

Decision Engine::schedule(CpuId id, Nanos now) {
    Cpu& cpu = cpus_[id.v];
    const bool was_idle = cpu.current == nullptr;
    Decision d = choose(cpu, now);
    const Pool* pool = cpu.queue.load(std::memory_order_relaxed)->pool;
    if (pool != nullptr && pool->queue_count > 1 && pool->policy->balances()) {
        if (d.next == nullptr && pull(cpu, now)) d = choose(cpu, now);
        if (d.next != nullptr && was_idle) pass_on(cpu);
    }
    return d;
}

Decision Engine::choose(Cpu& cpu, Nanos now) {
    u32 also = kNone;
    Decision d;
    for (;;) {
        Queue& q = *cpu.queue.load(std::memory_order_acquire);
        LockGuard guard(q.lock);
        if (cpu.queue.load(std::memory_order_acquire) != &q) continue;
        d = choose_locked(cpu, q, now, also);
        break;
    }
    tell(also);
    return d;
}

// Units whose time to compete again has come.
void Engine::release_due(Queue& q, Nanos now) {
    while (Unit* u = q.parked.top()) {
        if (u->release > now) break;
        q.take(*u);
        q.pool->policy->order(q, *u, now, Why::released);
        if (u->parked && u->release <= now) u->release = now + kLeastPark;
        q.put(*u);
        if (!u->parked) choose_cpus(q, *u, now).tell();
    }
}

// `u` has been parked: somebody must look when it is released.
Engine::Targets Engine::watch_for(Queue& q, const Unit& u) {
    if (u.release >= q.watched || q.members() == 0) return {};
    if (q.watcher == kNone) q.watcher = q.first_cpu + static_cast<u32>(std::countr_zero(q.members()));
    q.watched = u.release;
    return {.first = q.watcher};
}

// The CPU is about to be told when to look again: also for the parked units, if that is its task.
void Engine::keep_watch(const Cpu& cpu, Queue& q, Decision& d) {
    const Unit* next = q.parked.top();
    if (next == nullptr) {
        if (q.watcher != cpu.id.v) return;
        q.watcher = kNone;
        q.watched = port::kNever;
        return;
    }
    if (q.watcher != kNone && q.watcher != cpu.id.v && next->release >= q.watched) return;
    q.watcher = cpu.id.v;
    q.watched = next->release;
    if (q.watched < d.deadline) d.deadline = q.watched;
}

Decision Engine::choose_locked(Cpu& cpu, Queue& q, Nanos now, u32& also) {
    const u64 bit = cpu.bit();
    const bool online = q.pool != nullptr && (q.members() & bit) != 0;
    if (online) {
        q.tickled &= ~bit;
        release_due(q, now);
    }

    Unit* const previous = cpu.current;
    Unit* current = previous;
    if (current != nullptr && (!current->runnable || !current->hard.test(cpu.id) ||
                               (current->wanted_queue != kNone && current->wanted_queue != q.index)))
        current = nullptr;

    Decision d;
    if (online)
        d = q.pool->policy->pick(q, cpu, current, now);
    else if (previous != nullptr && q.pool != nullptr)
        q.pool->policy->stop(q, cpu, now);
    cpu.deadline = d.deadline;
    if (online) keep_watch(cpu, q, d);
    if (previous != nullptr) previous->yielded = false;
    if (d.next == previous) return d;
    if (previous != nullptr)
        enter(*previous, previous->runnable ? RunState::runnable : previous->sleep_state, now);
    else if (now > cpu.since)
        cpu.idle_time += now - cpu.since;
    if (d.next != nullptr) {
        ASSERT(!d.next->running.load(std::memory_order_relaxed) && !d.next->waiting() && d.next->runnable);
        enter(*d.next, RunState::running, now);
        d.next->running.store(true, std::memory_order_relaxed);
        d.next->cpu = cpu.id;
    }
    if (d.next == nullptr) cpu.idle_entries++;
    cpu.current = d.next;
    cpu.since = now;
    if (!online) return d;
    const u64 idle = q.idle.load(std::memory_order_relaxed);
    if (d.next == nullptr)
        q.idle.store(idle | bit, std::memory_order_seq_cst);
    else if ((idle & bit) != 0)
        q.idle.store(idle & ~bit, std::memory_order_relaxed);
    // This CPU may have been told for the sake of one unit and have picked another.
    const u64 free = q.idle.load(std::memory_order_relaxed) & ~q.tickled & ~bit;
    if (free != 0 && !q.waiting.empty()) {
        const Unit* u = q.waiting.first_of([&](const Unit& w) { return (q.allowed(w) & free) != 0; });
        if (u != nullptr) {
            const u64 choice = q.allowed(*u) & free;
            q.tickled |= choice & -choice;
            also = q.first_cpu + static_cast<u32>(std::countr_zero(choice));
        }
    }
    return d;
}

void Engine::switched_out(Unit& u) {
    Targets targets;
    {
        Locked held(u);
        ASSERT(u.running.load(std::memory_order_relaxed) && u.state != RunState::running);
        u.running.store(false, std::memory_order_release);
        if (u.runnable) targets = settle(held, u, u.since, Why::preempted);
    }
    targets.tell();
}

Result<> Engine::set_affinity(Unit& u, CpuMask hard, CpuMask soft, Nanos now) {
    Targets targets;
    {
        Locked held(u);
        const Pool& pool = *held.queue().pool;
        u64 any = 0;
        for (u32 i = 0; i < pool.queue_count; i++)
            any |= hard.window(pool.queues[i].first_cpu) & pool.queues[i].members();
        if (any == 0) return fail(Error::inval);
        u.hard = hard;
        u.soft = soft;
        if (u.waiting()) {
            held.queue().take(u);
            targets = settle(held, u, now, Why::moved);
        } else if (u.state == RunState::running && !hard.test(u.cpu)) {
            targets.first = u.cpu.v;
        }
    }
    targets.tell();
    return {};
}

Result<> Engine::migrate(Unit& u, CpuId to, Nanos now) {
    if (to.v >= cpu_count_) return fail(Error::inval);
    Targets targets;
    {
        Locked held(u);
        if (!u.hard.test(to)) return fail(Error::inval);
        const Queue& there = *cpus_[to.v].queue.load(std::memory_order_acquire);
        if (there.pool != held.queue().pool || there.allowed(u) == 0) return fail(Error::inval);
        if (&there == &held.queue()) {
            u.wanted_queue = kNone;
            return {};
        }
        u.wanted_queue = there.index;
        if (u.waiting()) {
            held.queue().take(u);
            targets = settle(held, u, now, Why::moved);
        } else if (u.state == RunState::running) {
            targets.first = u.cpu.v;
        }
    }
    targets.tell();
    return {};
}

Result<> Engine::set_share(Unit& u, Share share, Nanos now) {
    Locked held(u);
    return held.policy().set_share(held.queue(), u, share, now);
}

Result<> Engine::set_reservation(Unit& u, Reservation reservation, Nanos now) {
    Targets targets;
    {
        Locked held(u);
        Queue& q = held.queue();
        TRY(held.policy().set_reservation(q, u, reservation, now));
        // Its place among the waiting has changed.
        if (u.waiting()) {
            q.take(u);
            targets = settle(held, u, now, Why::moved);
        } else if (u.state == RunState::running) {
            targets.first = u.cpu.v;
        }
    }
    targets.tell();
    return {};
}

Result<Reservation> Engine::reservation(Unit& u) {
    Locked held(u);
    return held.policy().reservation(u);
}

Engine::RunTimes Engine::run_times(Unit& u, Nanos now) {
    Locked held(u);
    enter(u, u.state, now);
    return {u.state, u.since, {u.time[0], u.time[1], u.time[2], u.time[3]}};
}

Engine::IdleTimes Engine::idle_times(CpuId id, Nanos now) {
    const Cpu& cpu = cpus_[id.v];
    Queue* q = cpu.queue.load(std::memory_order_acquire);
    q->lock.lock();
    while (cpu.queue.load(std::memory_order_acquire) != q) {
        q->lock.unlock();
        q = cpu.queue.load(std::memory_order_acquire);
        q->lock.lock();
    }
    const bool idle = cpu.current == nullptr && now > cpu.since;
    const IdleTimes times{.entries = cpu.idle_entries, .time = cpu.idle_time + (idle ? now - cpu.since : 0)};
    q->lock.unlock();
    return times;
}

}  // namespace domus::sched
