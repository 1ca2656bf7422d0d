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
// All functions may be called on any CPU, with locks of lower rank than Rank::scheduler held. An engine feeds
// one CPU pool.
#pragma once

#include <span>

#include "sched/policy.hpp"

namespace domus::sched {

class Engine {
  public:
    // Memory that init() needs, bytes; to be aligned to 64.
    static usize storage_size(u32 cpus);

    // Serves CPUs 0..cpus-1, all idle. `storage` lives as long as the engine; EINVAL where it is too small.
    // Of the CPUs, each `cpus_per_queue` with adjacent numbers share a queue: 1..kMaxCpusPerQueue, or 0 for
    // what the policy likes.
    Result<> init(u32 cpus, const Policy& policy, std::span<unsigned char> storage, u32 cpus_per_queue = 0);

    // A new unit, asleep (RunState::offline) and allowed everywhere.
    void add_unit(Unit& u, Nanos now);
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
    // where `hard` has none of our CPUs.
    Result<> set_affinity(Unit& u, CpuMask hard, CpuMask soft, Nanos now);
    // Moves it to the queue of `cpu`. EINVAL where it may not run there.
    Result<> migrate(Unit& u, CpuId cpu, Nanos now);
    Result<> set_share(Unit& u, Share share, Nanos now);

    // ns in each RunState up to now, and the state; indexed by RunState.
    struct RunTimes {
        RunState state = RunState::offline;
        Nanos since = 0;  // when it entered `state`
        Nanos time[4] = {};
    };
    RunTimes run_times(Unit& u, Nanos now);
    Nanos idle_time(CpuId cpu, Nanos now);

    const Policy& policy() const { return *policy_; }
    Params& params() { return params_; }
    u32 cpu_count() const { return cpu_count_; }
    u32 queue_count() const { return queue_count_; }
    Queue& queue(u32 i) { return queues_[i]; }

  private:
    class Locked;

    struct Targets;

    Targets settle(Locked& held, Unit& u, Nanos now, Why why);
    u32 choose_queue(const Unit& u, Queue& home, Nanos now, Why why) const;
    Targets choose_cpus(Queue& q, const Unit& u, Nanos now);
    u32 idle_elsewhere(const Queue& home, const Unit& u, u32 except) const;
    void detach(Queue& q, Unit& u, Nanos now);
    bool pull(Cpu& cpu, Nanos now);
    void pass_on(const Cpu& cpu);
    Decision choose(Cpu& cpu, Nanos now);
    Decision choose_locked(Cpu& cpu, Nanos now, u32& also);

    const Policy* policy_ = nullptr;
    Cpu* cpus_ = nullptr;
    Queue* queues_ = nullptr;
    u32 cpu_count_ = 0, queue_count_ = 0;
    Params params_;
};

}  // namespace domus::sched
