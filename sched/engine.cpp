// SPDX-License-Identifier: GPL-2.0-or-later
// The engine: waking, sleeping and switching, under one run queue's lock at a time.
//
// A unit belongs to one queue at a time, Unit::queue. That changes only under the lock of the queue it leaves
// and while the unit neither waits nor runs, so holding the lock of a unit's queue holds the unit still. Two
// queue locks are never held together: between leaving one queue and joining another a unit is in transit,
// and whoever finds it first there, the mover or somebody who wakes it, completes the move (settle).
#include "sched/engine.hpp"

#include <bit>
#include <new>

#include "base/assert.hpp"

namespace domus::sched {

namespace {

constexpr u32 kNone = ~0u;
constexpr Nanos kTurn = 20 * kMillisecond;

void enter(Unit& u, RunState state, Nanos now) {
    if (now > u.since) {
        u.time[static_cast<u32>(u.state)] += now - u.since;
        u.since = now;
    }
    u.state = state;
}

void tell(u32 cpu) {
    if (cpu != kNone) port::raise_work(CpuId(cpu), port::Work::schedule);
}

}  // namespace

// The CPUs to tell, once no lock is held, that they should look again.
struct Engine::Targets {
    u32 first = kNone, second = kNone;

    void tell() const {
        sched::tell(first);
        sched::tell(second);
    }
};

// The lock of a unit's queue, which may change until it is held.
class Engine::Locked {
  public:
    Locked(Engine& engine, const Unit& u) : engine_(engine) { lock(u); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() { queue_->lock.unlock(); }

    Queue& queue() const { return *queue_; }
    void relock(const Unit& u) {
        queue_->lock.unlock();
        lock(u);
    }

  private:
    void lock(const Unit& u) {
        for (;;) {
            const u32 index = u.queue.load(std::memory_order_acquire);
            queue_ = &engine_.queues_[index];
            queue_->lock.lock();
            if (u.queue.load(std::memory_order_relaxed) == index) [[likely]]
                return;
            queue_->lock.unlock();
        }
    }

    Engine& engine_;
    Queue* queue_ = nullptr;
};

usize Engine::storage_size(u32 cpus) { return cpus * (sizeof(Cpu) + sizeof(Queue)); }

Result<> Engine::init(u32 cpus, const Policy& policy, std::span<unsigned char> storage, u32 cpus_per_queue) {
    const u32 limit = cpus_per_queue != 0 ? cpus_per_queue : policy.cpus_per_queue();
    if (cpus == 0 || limit == 0 || limit > kMaxCpusPerQueue) return fail(Error::inval);
    const u32 fewest = (cpus + limit - 1) / limit;
    const u32 per_queue = (cpus + fewest - 1) / fewest;  // of about the same size
    if (storage.size() < storage_size(cpus) || reinterpret_cast<usize>(storage.data()) % alignof(Queue) != 0)
        return fail(Error::inval);

    policy_ = &policy;
    cpu_count_ = cpus;
    queue_count_ = (cpus + per_queue - 1) / per_queue;
    cpus_ = reinterpret_cast<Cpu*>(storage.data());
    queues_ = reinterpret_cast<Queue*>(storage.data() + cpus * sizeof(Cpu));
    for (u32 i = 0; i < cpus; i++) {
        Cpu* cpu = new (&cpus_[i]) Cpu;
        cpu->id = CpuId(i);
        cpu->queue = &queues_[i / per_queue];
    }
    for (u32 i = 0; i < queue_count_; i++) {
        Queue* q = new (&queues_[i]) Queue;
        q->index = i;
        q->first_cpu = i * per_queue;
        q->cpu_count = i + 1 < queue_count_ ? per_queue : cpus - q->first_cpu;
        q->cpus = &cpus_[q->first_cpu];
        q->params = &params_;
        q->online = ~u64{0} >> (64 - q->cpu_count);
        q->idle.store(q->online, std::memory_order_relaxed);
        policy.init_queue(*q);
    }
    return {};
}

void Engine::add_unit(Unit& u, Nanos now) {
    ASSERT(!u.attached && !u.waiting());
    u.hard = u.soft = {};
    u.state = u.sleep_state = RunState::offline;
    u.since = now;
    policy_->init_unit(u);
    // Start where the fewest live; its first wake-up may still find an idle CPU elsewhere.
    u32 best = 0;
    for (u32 i = 1; i < queue_count_; i++)
        if (queues_[i].units * queues_[best].cpu_count < queues_[best].units * queues_[i].cpu_count) best = i;
    u.cpu = CpuId(queues_[best].first_cpu);
    u.queue.store(best, std::memory_order_relaxed);

    Locked held(*this, u);
    Queue& q = held.queue();
    u.attached = true;
    q.units++;
    policy_->attach(q, u, now);
}

void Engine::remove_unit(Unit& u, Nanos now) {
    Locked held(*this, u);
    ASSERT(!u.runnable && !u.running.load(std::memory_order_relaxed));
    detach(held.queue(), u, now);
}

void Engine::detach(Queue& q, Unit& u, Nanos now) {
    if (u.waiting()) q.take(u);
    if (!u.attached) return;
    policy_->detach(q, u, now);
    q.units--;
    u.attached = false;
}

void Engine::wake(Unit& u, Nanos now) {
    Targets targets;
    {
        Locked held(*this, u);
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
        Locked held(*this, u);
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
        Locked held(*this, u);
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
        const u32 home = choose_queue(u, q, now, why);
        if (home == q.index) break;
        detach(q, u, now);
        u.wanted_queue = kNone;
        u.cpu = CpuId(queues_[home].first_cpu);
        u.queue.store(home, std::memory_order_release);
        held.relock(u);
        // The unit was in nobody's hands for a moment.
        if (!u.runnable || u.waiting() || u.running.load(std::memory_order_relaxed)) return {};
        why = Why::moved;
    }
    Queue& q = held.queue();
    if (!u.attached) {
        u.attached = true;
        q.units++;
        policy_->attach(q, u, now);
    }
    policy_->order(q, u, now, why);
    q.put(u);
    return choose_cpus(q, u, now);
}

// The index of the queue where `u` should wait, which is `home` unless there is a reason.
u32 Engine::choose_queue(const Unit& u, Queue& home, Nanos now, Why why) const {
    if (queue_count_ == 1) return 0;
    if (u.wanted_queue != kNone && queues_[u.wanted_queue].allowed(u) != 0) return u.wanted_queue;
    const u64 allowed = home.allowed(u);
    const bool turn = why == Why::preempted && now - home.balanced >= kTurn;
    if (allowed != 0) {
        if (why == Why::moved || (why == Why::preempted && !turn) || !policy_->balances()) return home.index;
        if ((home.idle.load(std::memory_order_relaxed) & ~home.tickled & allowed) != 0) return home.index;
    }
    // Whoever wakes up goes elsewhere only if there are fewer even with it, since its data are here. Where
    // equal numbers are impossible, three units on two CPUs, say, those that lose their CPU take turns in
    // moving, so that all get the same in the long run.
    const u32 extra = why == Why::woken && allowed != 0 ? 2 : 1;
    u32 best = home.index;
    u64 best_load = allowed != 0 ? u64{home.load()} + 1 : ~u32{0}, best_cpus = home.cpu_count;
    for (u32 n = 1; n < queue_count_; n++) {  // from the neighbour on, so that all have their turn
        const u32 i = (home.index + n) % queue_count_;
        const Queue& q = queues_[i];
        const u64 load = u64{q.load()} + extra;
        if (q.allowed(u) == 0 || load * best_cpus > best_load * q.cpu_count) continue;
        if (best != home.index && load * best_cpus == best_load * q.cpu_count) continue;
        best = i;
        best_load = load;
        best_cpus = q.cpu_count;
    }
    if (turn && best != home.index) home.balanced = now;
    return best;
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
        if (const Cpu* cpu = policy_->preempts(q, u, busy, now)) targets.first = cpu->id.v;
    return targets;
}

// An idle CPU of another queue, which will come and fetch work when told to look (pull). Reads other queues
// without their locks: they publish `idle` before they look for waiting units, and we publish the waiting
// unit before we look for idle CPUs, so one of the two sees the other.
u32 Engine::idle_elsewhere(const Queue& home, const Unit& u, u32 except) const {
    if (queue_count_ == 1 || !policy_->balances()) return kNone;
    for (u32 i = 0; i < queue_count_; i++) {
        const Queue& q = queues_[i];
        if (i == home.index) continue;
        u64 idle = q.idle.load(std::memory_order_seq_cst) & q.allowed(u);
        if (except != kNone && cpus_[except].queue == &q) idle &= ~cpus_[except].bit();
        if (idle != 0) return q.first_cpu + static_cast<u32>(std::countr_zero(idle));
    }
    return kNone;
}

// For a CPU with nothing to do: brings a unit that waits elsewhere into its queue. True if there was one.
bool Engine::pull(Cpu& cpu, Nanos now) {
    for (u32 n = 1; n < queue_count_; n++) {
        Queue& q = queues_[(cpu.queue->index + n) % queue_count_];
        if (q.waiting_count.load(std::memory_order_seq_cst) == 0) continue;
        Unit* u;
        {
            LockGuard guard(q.lock);
            u = q.first_for(cpu);
            if (u == nullptr) continue;
            detach(q, *u, now);
            u->cpu = cpu.id;
            u->queue.store(cpu.queue->index, std::memory_order_release);
        }
        Targets targets;
        {
            Locked held(*this, *u);
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
    u64 idle = 0;
    for (u32 i = 0; i < queue_count_; i++) idle |= queues_[i].idle.load(std::memory_order_seq_cst);
    if (idle == 0) return;
    for (u32 i = 0; i < queue_count_; i++) {
        Queue& q = queues_[i];
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
    if (queue_count_ > 1 && policy_->balances()) {
        if (d.next == nullptr && pull(cpu, now)) d = choose(cpu, now);
        if (d.next != nullptr && was_idle) pass_on(cpu);
    }
    return d;
}

Decision Engine::choose(Cpu& cpu, Nanos now) {
    u32 also = kNone;
    const Decision d = choose_locked(cpu, now, also);
    tell(also);
    return d;
}

Decision Engine::choose_locked(Cpu& cpu, Nanos now, u32& also) {
    Queue& q = *cpu.queue;
    LockGuard guard(q.lock);
    const u64 bit = cpu.bit();
    q.tickled &= ~bit;

    Unit* const previous = cpu.current;
    Unit* current = previous;
    if (current != nullptr && (!current->runnable || !current->hard.test(cpu.id) ||
                               (current->wanted_queue != kNone && current->wanted_queue != q.index)))
        current = nullptr;

    const Decision d = policy_->pick(q, cpu, current, now);
    cpu.deadline = d.deadline;
    if (previous != nullptr) previous->yielded = false;
    if (d.next == previous) {
        return d;
    }
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
    cpu.current = d.next;
    cpu.since = now;
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
        Locked held(*this, u);
        ASSERT(u.running.load(std::memory_order_relaxed) && u.state != RunState::running);
        u.running.store(false, std::memory_order_release);
        if (u.runnable) targets = settle(held, u, u.since, Why::preempted);
    }
    targets.tell();
}

Result<> Engine::set_affinity(Unit& u, CpuMask hard, CpuMask soft, Nanos now) {
    u64 any = 0;
    for (u32 i = 0; i < queue_count_; i++) any |= hard.window(queues_[i].first_cpu) & queues_[i].online;
    if (any == 0) return fail(Error::inval);
    Targets targets;
    {
        Locked held(*this, u);
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
        Locked held(*this, u);
        if (!u.hard.test(to)) return fail(Error::inval);
        if (cpus_[to.v].queue == &held.queue()) {
            u.wanted_queue = kNone;
            return {};
        }
        u.wanted_queue = cpus_[to.v].queue->index;
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
    Locked held(*this, u);
    return policy_->set_share(held.queue(), u, share, now);
}

Engine::RunTimes Engine::run_times(Unit& u, Nanos now) {
    Locked held(*this, u);
    enter(u, u.state, now);
    return {u.state, u.since, {u.time[0], u.time[1], u.time[2], u.time[3]}};
}

Nanos Engine::idle_time(CpuId id, Nanos now) {
    Cpu& cpu = cpus_[id.v];
    LockGuard guard(cpu.queue->lock);
    const bool idle = cpu.current == nullptr && now > cpu.since;
    return cpu.idle_time + (idle ? now - cpu.since : 0);
}

}  // namespace domus::sched
