// SPDX-License-Identifier: GPL-2.0-or-later
// Each CPU belongs to one unit, also while that sleeps. Units beyond the number of CPUs wait until one is
// removed. A queue is a CPU, so that a unit finds its own again without a search.
#include "sched/null.hpp"

namespace domus::sched {

namespace {

struct Place {
    Unit* owner = nullptr;
};

Place& place(Queue& q) { return q.policy.as<Place>(); }

// An owner that may no longer run there has lost the place.
void check_owner(Queue& q) {
    Place& p = place(q);
    if (p.owner != nullptr && q.allowed(*p.owner) == 0) p.owner = nullptr;
}

class Null final : public Policy {
  public:
    constexpr Null() : Policy("null", 9) {}

    u32 cpus_per_queue() const override { return 1; }

    void init_queue(Queue& q) const override { q.policy.make<Place>(); }
    void cpu_removed(Queue& q, Cpu&) const override { place(q).owner = nullptr; }
    void attach(Queue& q, Unit& u, Nanos) const override {
        check_owner(q);
        if (place(q).owner == nullptr && q.allowed(u) != 0) place(q).owner = &u;
    }
    void detach(Queue& q, Unit& u, Nanos) const override {
        if (place(q).owner == &u) place(q).owner = nullptr;
    }

    void order(Queue& q, Unit& u, Nanos, Why) const override {
        attach(q, u, 0);
        u.key = place(q).owner == &u ? 0 : 1;
    }

    Decision pick(Queue& q, Cpu& cpu, Unit* current, Nanos) const override {
        check_owner(q);
        Place& p = place(q);
        if (p.owner == nullptr) p.owner = current != nullptr ? current : q.first_for(cpu);
        if (p.owner == nullptr || p.owner == current) return {current, port::kNever};
        if (!p.owner->waiting()) return {};
        q.take(*p.owner);
        return {p.owner, port::kNever};
    }

    // The owner takes its CPU from nobody; others may ask whether it is still owned.
    Cpu* preempts(Queue& q, const Unit& u, u64 allowed, Nanos) const override {
        check_owner(q);
        return place(q).owner == &u && allowed != 0 ? q.cpus : nullptr;
    }

    bool keeps(const Queue& q, const Unit& u) const override { return q.policy.as<Place>().owner == &u; }

    // A CPU without an owner looks for a unit that waits in vain elsewhere.
    Unit* spare(Queue& q, const Cpu& cpu) const override {
        const Queue& home = *cpu.queue.load(std::memory_order_relaxed);
        if (home.policy.as<Place>().owner != nullptr) return nullptr;
        const Unit* owner = place(q).owner;
        return q.waiting.first_of([&](const Unit& u) { return &u != owner && u.hard.test(cpu.id); });
    }
};

constinit const Null policy;

}  // namespace

const Policy& null() { return policy; }

}  // namespace domus::sched
