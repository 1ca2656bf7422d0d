// SPDX-License-Identifier: GPL-2.0-or-later
// The scheduling engine: who waits, who runs where, and which CPU must look again. Tickless: a CPU is told
// when to reconsider, and where nobody else waits that is never.
//
// How a CPU switches (arch calls, on that CPU, when it finds Work::schedule or its deadline has passed):
//
//     Decision d = engine.schedule(cpu, now);
//     if (d.next != previous) {
//         save previous's registers;
//         if (previous != nullptr) engine.switched_out(*previous);  // now, and not before, another CPU may
//         run it load d.next's registers, or go idle;
//     }
//     arm the timer for d.deadline
//
// All functions may be called on any CPU, with locks of lower rank than Rank::scheduler held.
//
// CPUs are divided among pools (sched/pool.hpp), and may be in none, where they idle. Changes of the pools,
// of their CPUs, and of which pool a unit is in, are made by one caller at a time.
#pragma once

#include <span>

#include "sched/policy.hpp"

namespace domus::sched {

class Engine {
  public:
    // Memory that init() needs, bytes; to be aligned to 64.
    static usize storage_size(u32 cpus, const Policy& policy, u32 cpus_per_queue = 0);

    // Serves CPUs 0..cpus-1, all idle, all in the first pool, which is for ever. `storage` lives as long as
    // the engine; EINVAL where it is too small. Of the CPUs, each `cpus_per_queue` with adjacent numbers
    // share a queue: 1..kMaxCpusPerQueue, or 0 for what the policy likes.
    Result<> init(u32 cpus, const Policy& policy, std::span<unsigned char> storage, u32 cpus_per_queue = 0);

    // A pool without CPUs, in `storage` as above. It lives until no CPU can still be looking at it: some
    // grace period after its last CPU and unit have left.
    usize pool_size(const Policy& policy) const { return pool_storage(cpu_count_, policy, 0); }
    Result<Pool*> make_pool(std::span<unsigned char> storage, const Policy& policy, u32 cpus_per_queue = 0);
    Pool& first_pool() { return *first_pool_; }
    Pool* pool_of(CpuId cpu) const;  // null: none

    // `cpu` is in no pool.
    void add_cpu(Pool& pool, CpuId cpu);
    // Takes the CPU out of its pool: it stops running units, and units that wait for it go elsewhere. It has
    // left when cpu_left() says so. Units that may run on no other CPU of the pool stay runnable and wait.
    void remove_cpu(CpuId cpu, Nanos now);
    bool cpu_left(CpuId cpu);
    // The unit, which sleeps and is off its CPU, is from now on one of `pool`, with that policy's defaults.
    // Its affinity stays.
    void move_unit(Unit& u, Pool& pool, Nanos now);

    // A new unit, asleep (RunState::offline) and allowed everywhere.
    void add_unit(Unit& u, Pool& pool, Nanos now);
    void add_unit(Unit& u, Nanos now) { add_unit(u, *first_pool_, now); }
    // `u` is asleep and off its CPU (see wait_off_cpu), and nobody wakes it any more.
    void remove_unit(Unit& u, Nanos now);

    // Makes it runnable; no effect if it is. A CPU is told to run it, if one should now.
    void wake(Unit& u, Nanos now);
    // It is no longer runnable; `state` is blocked or offline and tells the guest why. The CPU that runs it,
    // this one or another, gets Work::schedule and may go on in the guest for a moment.
    void sleep(Unit& u, Nanos now, RunState state = RunState::blocked);
    // It runs on this CPU and lets others go first, if any wait.
    void yield(Unit& u);
    // Waits until a sleeping unit's registers have been saved. Not with locks held.
    void wait_off_cpu(const Unit& u) const;

    // What this CPU runs from now on.
    Decision schedule(CpuId cpu, Nanos now);
    void switched_out(Unit& u);
    Unit* current(CpuId cpu) const { return cpus_[cpu.v].current; }

    // Where it may run, and where it had better. The masks' words must live until they are replaced. EINVAL
    // where `hard` has none of its pool's CPUs.
    Result<> set_affinity(Unit& u, CpuMask hard, CpuMask soft, Nanos now);
    // Moves it to the queue of `cpu`. EINVAL where it may not run there.
    Result<> migrate(Unit& u, CpuId cpu, Nanos now);
    Result<> set_share(Unit& u, Share share, Nanos now);
    Result<> set_reservation(Unit& u, Reservation reservation, Nanos now);
    Result<Reservation> reservation(Unit& u);
    // The policy's own data in the pool's space has changed under `change`, which is called with the first
    // queue's lock held; its CPUs look again.
    template <class F>
    void change_pool(Pool& pool, F&& change) {
        {
            LockGuard guard(pool.queues[0].lock);
            change();
        }
        look_again(pool);
    }

    // ns in each RunState up to now, and the state; indexed by RunState.
    struct RunTimes {
        RunState state = RunState::offline;
        Nanos since = 0;  // when it entered `state`
        Nanos time[4] = {};
    };
    RunTimes run_times(Unit& u, Nanos now);
    // How often and how long in all a CPU has been idle, up to now.
    struct IdleTimes {
        u64 entries = 0;
        Nanos time = 0;
    };
    IdleTimes idle_times(CpuId cpu, Nanos now);
    Nanos idle_time(CpuId cpu, Nanos now) { return idle_times(cpu, now).time; }

    const Policy& policy() const { return *first_pool_->policy; }
    Params& params() { return first_pool_->params; }
    u32 cpu_count() const { return cpu_count_; }
    u32 queue_count() const { return first_pool_->queue_count; }
    Queue& queue(u32 i) { return first_pool_->queues[i]; }

  private:
    class Locked;

    struct Targets;

    static usize pool_storage(u32 cpus, const Policy& policy, u32 cpus_per_queue);
    void put_cpu(Pool& pool, Cpu& cpu);
    static void look_again(Pool& pool);
    void push_out(Queue& q, Nanos now);
    void release_due(Queue& q, Nanos now);
    static Targets watch_for(Queue& q, const Unit& u);
    static void keep_watch(const Cpu& cpu, Queue& q, Decision& d);
    static Queue& quietest(Pool& pool, const Unit& u);
    Targets settle(Locked& held, Unit& u, Nanos now, Why why);
    static Queue* preferred_queue(const Unit& u, const Queue& home);
    static Queue& choose_queue(const Unit& u, Queue& home, Nanos now, Why why);
    Targets choose_cpus(Queue& q, const Unit& u, Nanos now);
    u32 idle_elsewhere(const Queue& home, const Unit& u, u32 except) const;
    static void detach(Queue& q, Unit& u, Nanos now);
    bool pull(Cpu& cpu, Nanos now);
    void pass_on(const Cpu& cpu);
    Decision choose(Cpu& cpu, Nanos now);
    Decision choose_locked(Cpu& cpu, Queue& q, Nanos now, u32& also);

    Cpu* cpus_ = nullptr;
    u32 cpu_count_ = 0;
    Pool* first_pool_ = nullptr;
    Queue* limbo_ = nullptr;  // of the CPUs in no pool; never has units
};

}  // namespace domus::sched
