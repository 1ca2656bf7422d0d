// SPDX-License-Identifier: GPL-2.0-or-later
// What a scheduling policy decides. The engine does the rest: it holds the run queue's lock around each call,
// keeps the heap of waiting units, knows who runs where and tells CPUs to look again. A policy is stateless
// code over the policy spaces of queue and unit, and time is an argument, so that a simulation is
// deterministic.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "sched/group.hpp"
#include "sched/pool.hpp"

namespace domus::sched {

struct Decision {
    Unit* next = nullptr;           // null: idle
    Nanos deadline = port::kNever;  // call schedule() again at this time at the latest
};

// Why a unit joins the queue.
enum class Why : u8 {
    woken,      // it slept
    preempted,  // it was on a CPU
    moved,      // from another queue, or its affinity changed
    released,   // it was parked
};

class Policy {
  public:
    std::string_view name;  // of the sched= option
    u32 abi_id;             // XEN_SCHEDULER_* (public domctl.h)

    // How many CPUs with adjacent numbers share a queue: 1..kMaxCpusPerQueue. May a unit move to another
    // queue for load alone?
    virtual u32 cpus_per_queue() const = 0;
    virtual bool balances() const { return true; }

    // Bytes of a pool's own, zeroed, aligned to 64.
    virtual usize pool_space() const { return 0; }
    virtual void init_pool(Pool&) const {}
    virtual void init_queue(Queue&) const {}
    // `cpu`, idle, has come to the queue or leaves it.
    virtual void cpu_added(Queue&, Cpu&) const {}
    virtual void cpu_removed(Queue&, Cpu&) const {}
    virtual void init_unit(Unit&) const {}
    // `u` comes to count in, or leaves, the queue's set of units; it is not waiting. From attach() on, what
    // the policy keeps in the unit is relative to this queue.
    virtual void attach(Queue&, Unit&, Nanos) const {}
    virtual void detach(Queue&, Unit&, Nanos) const {}

    // `u` is about to wait: gives it its key; or parks it, by setting `parked` and when it is released.
    virtual void order(Queue& q, Unit& u, Nanos now, Why why) const = 0;

    // Chooses for `cpu` between `current`, which is what it runs if that may go on and null otherwise, and
    // the waiting units; takes the chosen one out of the heap. cpu.current, whose time must be accounted for,
    // is set even where it may not go on.
    virtual Decision pick(Queue& q, Cpu& cpu, Unit* current, Nanos now) const = 0;

    // cpu.current leaves its CPU because that leaves the pool: its time must be accounted for.
    virtual void stop(Queue&, Cpu&, Nanos) const {}

    // `u` waits and none of its CPUs is idle: which of the CPUs in `allowed` (bits of the queue, none idle)
    // should look again now, because it should be preempted or because it must fix a time for its next look?
    // Null: none.
    virtual Cpu* preempts(Queue& q, const Unit& u, u64 allowed, Nanos now) const = 0;

    // Does `u`, which wakes up, stay here whatever goes on elsewhere?
    virtual bool keeps(const Queue&, const Unit&) const { return false; }
    // For a CPU without work: the unit that it may fetch from another queue, or null.
    virtual Unit* spare(Queue& q, const Cpu& cpu) const { return q.first_for(cpu); }

    // Changes a unit's share: inval where the policy has none or the numbers are out of range.
    virtual Result<> set_share(Queue&, Unit&, Share, Nanos) const { return fail(Error::inval); }
    virtual bool has_shares() const { return false; }

    // A unit's reservation; inval where the policy has none or the numbers make no sense.
    virtual Result<> set_reservation(Queue&, Unit&, Reservation, Nanos) const { return fail(Error::inval); }
    virtual Result<Reservation> reservation(const Unit&) const { return fail(Error::inval); }

  protected:
    constexpr Policy(std::string_view policy_name, u32 id) : name(policy_name), abi_id(id) {}
    ~Policy() = default;
};

// The policy of this name, or with this number of the ABI's, or null.
const Policy* find_policy(std::string_view name);
const Policy* find_policy(u32 abi_id);
const Policy& default_policy();

}  // namespace domus::sched
