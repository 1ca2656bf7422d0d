// SPDX-License-Identifier: GPL-2.0-or-later
// The simplest policy: first come, first served, ten milliseconds each. Not for production: it is the model
// that the engine is tested with.
#include "fakes/round_robin.hpp"

#include <bit>

namespace domus::sched {

namespace {

constexpr Nanos kSlice = 10 * kMillisecond;

class RoundRobin final : public Policy {
  public:
    constexpr RoundRobin() : Policy("round-robin", 0) {}

    u32 cpus_per_queue() const override { return 16; }
    void init_queue(Queue& q) const override { q.policy.make<u64>(); }
    void order(Queue& q, Unit& u, Nanos, Why) const override { u.key = q.policy.as<u64>()++; }

    Decision pick(Queue& q, Cpu& cpu, Unit* current, Nanos now) const override {
        Unit* next = q.first_for(cpu);
        if (next == nullptr) return {current, port::kNever};
        if (current != nullptr && !current->yielded && now < cpu.since + kSlice)
            return {current, cpu.since + kSlice};
        q.take(*next);
        return {next, now + kSlice};
    }

    Cpu* preempts(Queue& q, const Unit&, u64 allowed, Nanos) const override {
        // Nobody is, but one of them must have a next look.
        Cpu* open = nullptr;
        for (; allowed != 0; allowed &= allowed - 1) {
            Cpu& cpu = q.cpus[std::countr_zero(allowed)];
            if (cpu.deadline != port::kNever) return nullptr;
            open = &cpu;
        }
        return open;
    }
};

constinit const RoundRobin policy;

}  // namespace

const Policy& round_robin() { return policy; }

}  // namespace domus::sched
