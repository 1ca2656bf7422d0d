// SPDX-License-Identifier: GPL-2.0-or-later
// Credits: running costs a unit credit, the less the greater its weight; the unit with the most credit runs;
// when the best of them has none left, all are granted the same amount again.
//
// A queue keeps one number, `granted`: what every unit of it has been given so far. A unit's key is what it
// has spent, so its credit is granted - key: a grant to all is one addition, and ordering by key is ordering
// by credit. Both count ns of virtual time, at which a unit of the weight `scale` (the power of two that no
// weight in the queue exceeds) spends one each ns that it runs. They may wrap.
//
// Three rules keep accounts honest:
//  - Who wakes up owns at most a little more than one grant, so that sleeping is not saving.
//  - Who runs on a CPU for which nobody waits owes nothing to anyone: its account is topped up alone. Such
//    CPUs have no deadline (the bit in `alone`), and their accounts are settled when a waiter appears.
//  - Comparing a running unit with a waiting one has a grain, so that equals change places every few
//    milliseconds and not at each look. One that has just woken up does not wait for that: its time is
//    short.
#include "sched/credit2.hpp"

#include <bit>

#include "base/assert.hpp"

namespace domus::sched {

namespace {

constexpr Nanos kGrant = kCredit2Grant;
constexpr Nanos kGrain = kCredit2Grain;
constexpr Nanos kWakeLimit = kGrant + kMillisecond / 2;  // credit of one that wakes up
constexpr Nanos kDriftLimit = 4 * kGrant;                // credit of one that waits where others cannot run
constexpr Nanos kMaxSlice = kCredit2MaxSlice;
constexpr Nanos kMinSlice = kMillisecond / 4;
constexpr Nanos kForgiven = kSecond;         // whoever slept this long owes nothing
constexpr Nanos kMaxDelta = Nanos{1} << 40;  // 18 minutes: times 2^16 still fits

struct Bank {
    u64 granted = 0;
    u64 alone = 0;  // CPUs (bits of the queue) for whose current unit nobody waits
    u32 scale_shift = 0;
    u32 of_weight[17] = {};  // attached units with a weight in (2^(i-1), 2^i]
};

struct Account {
    Nanos charged = 0;  // up to when its running is in its key; while it sleeps, when it last ran
    u32 weight = 256;
    bool lent = false;  // a grain, because it woke up and has not run since
    Nanos budget = 0;   // what it has taken of its capped domain's time, ns of real time
};

Bank& bank(Queue& q) { return q.policy.as<Bank>(); }
Account& account(Unit& u) { return u.policy.as<Account>(); }
const Account& account(const Unit& u) { return u.policy.as<Account>(); }

s64 credit(const Bank& b, const Unit& u) { return static_cast<s64>(b.granted - u.key); }
void set_credit(const Bank& b, Unit& u, s64 amount) { u.key = b.granted - static_cast<u64>(amount); }

u32 class_of(u32 weight) { return static_cast<u32>(std::bit_width(weight - 1)); }

void find_scale(Bank& b) {
    b.scale_shift = 0;
    for (u32 i = 0; i < std::size(b.of_weight); i++)
        if (b.of_weight[i] != 0) b.scale_shift = i;
}

Nanos to_virtual(const Bank& b, const Account& a, Nanos real) {
    if (a.weight == u32{1} << b.scale_shift) return real;
    return (real << b.scale_shift) / a.weight;
}
Nanos to_real(const Bank& b, const Account& a, Nanos virtual_time) {
    return (virtual_time * a.weight) >> b.scale_shift;
}

bool capped(const Unit& u) { return u.group != nullptr && u.group->capped(); }

// May it run as far as its domain's cap goes? If not, `release` says when that will have changed.
bool funded(Unit& u, Nanos now) {
    if (!capped(u)) [[likely]]
        return true;
    Account& a = account(u);
    if (a.budget <= 0) a.budget = u.group->take(a.budget, kMaxSlice, now, u.release);
    return a.budget > 0;
}
void give_back(Unit& u) {
    Account& a = account(u);
    if (!capped(u) || a.budget <= 0) return;
    u.group->give(a.budget);
    a.budget = 0;
}
// A look at the end of the unit's time at the latest.
Decision run(Unit* u, Nanos now, Nanos deadline) {
    if (u != nullptr && capped(*u) && now + account(*u).budget < deadline)
        deadline = now + account(*u).budget;
    return {u, deadline};
}

// Charges what cpu.current has run since it was last charged.
void charge(Bank& b, Cpu& cpu, Nanos now) {
    Unit* u = cpu.current;
    if (u == nullptr) return;
    Account& a = account(*u);
    Nanos delta = now - a.charged;
    if (delta <= 0) return;  // clocks of two CPUs may differ by a few ns
    a.charged = now;
    if (delta > kMaxDelta) delta = kMaxDelta;
    if (capped(*u)) a.budget -= u->group->counts(delta, now);
    u->key += static_cast<u64>(to_virtual(b, a, delta));
    if ((b.alone & cpu.bit()) == 0) return;
    const s64 owned = credit(b, *u);
    if (owned <= 0) set_credit(b, *u, kGrant - -owned % kGrant);
}

// Would `waiter` take the CPU from `runner`?
bool beats(const Unit& waiter, const Unit& runner) {
    return static_cast<s64>(runner.key - waiter.key) > kGrain;
}

void lend(Unit& u) {
    account(u).lent = true;
    u.key -= static_cast<u64>(kGrain);
}
void reclaim(Unit& u) {
    if (std::exchange(account(u).lent, false)) u.key += static_cast<u64>(kGrain);
}

class Credit2 final : public Policy {
  public:
    constexpr Credit2() : Policy("credit2", 6) {}

    u32 cpus_per_queue() const override { return 16; }

    bool has_shares() const override { return true; }

    void init_queue(Queue& q) const override { q.policy.make<Bank>(); }

    // Between queues a unit's key is its credit.
    void init_unit(Unit& u) const override {
        u.policy.make<Account>();
        u.key = static_cast<u64>(kGrant);
    }
    void cpu_added(Queue& q, Cpu& cpu) const override { bank(q).alone |= cpu.bit(); }
    void cpu_removed(Queue& q, Cpu& cpu) const override { bank(q).alone &= ~cpu.bit(); }

    void attach(Queue& q, Unit& u, Nanos) const override {
        Bank& b = bank(q);
        set_credit(b, u, static_cast<s64>(u.key));
        b.of_weight[class_of(account(u).weight)]++;
        find_scale(b);
    }
    void detach(Queue& q, Unit& u, Nanos) const override {
        Bank& b = bank(q);
        reclaim(u);
        u.key = static_cast<u64>(credit(b, u));
        b.of_weight[class_of(account(u).weight)]--;
        find_scale(b);
    }

    void order(Queue& q, Unit& u, Nanos now, Why why) const override {
        Bank& b = bank(q);
        // The first who waits for these CPUs: what ran there so far was to nobody's cost.
        const u64 allowed = q.allowed(u);
        for (u64 w = b.alone & allowed; w != 0; w &= w - 1) charge(b, q.cpus[std::countr_zero(w)], now);
        b.alone &= ~allowed;

        reclaim(u);
        const Account& a = account(u);
        const Nanos limit = why == Why::woken ? kWakeLimit : kDriftLimit;
        if (credit(b, u) > limit || (why == Why::woken && now - a.charged >= kForgiven))
            set_credit(b, u, limit);
        if (why == Why::woken || why == Why::moved) lend(u);
        u.parked = !funded(u, now);
    }

    Decision pick(Queue& q, Cpu& cpu, Unit* current, Nanos now) const override {
        Bank& b = bank(q);
        charge(b, cpu, now);
        if (Unit* const last = cpu.current; last != nullptr && !last->runnable) give_back(*last);
        if (current != nullptr && !funded(*current, now)) current = nullptr;
        Unit* const head = q.first_for(cpu);
        if (head == nullptr) {
            b.alone |= cpu.bit();
            return run(current, now, port::kNever);
        }
        b.alone &= ~cpu.bit();
        const Nanos earliest = cpu.since + q.params->ratelimit;
        if (current != nullptr && !current->yielded && (now < earliest || !beats(*head, *current)))
            return run(current, now, slice_end(b, *current, *head, now, earliest));

        q.take(*head);
        account(*head).charged = now;
        reclaim(*head);
        if (const s64 owned = credit(b, *head); owned <= 0)
            b.granted += static_cast<u64>((-owned / kGrant + 1) * kGrant);
        const Unit* rival = q.first_for(cpu);
        if (current != nullptr && (rival == nullptr || static_cast<s64>(current->key - rival->key) < 0))
            rival = current;
        if (rival != nullptr)
            return run(head, now, slice_end(b, *head, *rival, now, now + q.params->ratelimit));
        b.alone |= cpu.bit();
        return run(head, now, port::kNever);
    }

    void stop(Queue& q, Cpu& cpu, Nanos now) const override {
        charge(bank(q), cpu, now);
        if (!cpu.current->runnable) give_back(*cpu.current);
    }

    Cpu* preempts(Queue& q, const Unit& u, u64 allowed, Nanos now) const override {
        Bank& b = bank(q);
        Cpu* poorest = nullptr;       // of all
        Cpu* poorest_soft = nullptr;  // of those that `u` prefers
        bool looks = false;           // one of them has a deadline
        const u64 soft = u.soft.window(q.first_cpu);
        for (; allowed != 0; allowed &= allowed - 1) {
            const u32 bit = static_cast<u32>(std::countr_zero(allowed));
            Cpu& cpu = q.cpus[bit];
            if (cpu.current == nullptr) continue;
            charge(b, cpu, now);
            looks |= cpu.deadline != port::kNever;
            const auto poorer = [&](const Cpu* than) {
                return than == nullptr || static_cast<s64>(cpu.current->key - than->current->key) > 0;
            };
            if (poorer(poorest)) poorest = &cpu;
            if (((soft >> bit) & 1) != 0 && poorer(poorest_soft)) poorest_soft = &cpu;
        }
        Cpu* victim = nullptr;
        if (poorest_soft != nullptr && beats(u, *poorest_soft->current))
            victim = poorest_soft;
        else if (poorest != nullptr && beats(u, *poorest->current))
            victim = poorest;
        else
            return looks ? nullptr : poorest;
        // It may be about to look anyway, at the end of the time that nobody is preempted in.
        const Nanos earliest = victim->since + q.params->ratelimit;
        return victim->deadline <= (now > earliest ? now : earliest) ? nullptr : victim;
    }

    Result<> set_share(Queue& q, Unit& u, Share share, Nanos now) const override {
        if (share.weight == 0) return fail(Error::inval);
        Bank& b = bank(q);
        if (u.state == RunState::running) charge(b, q.cpus[u.cpu.v - q.first_cpu], now);
        Account& a = account(u);
        if (u.attached) {
            b.of_weight[class_of(a.weight)]--;
            b.of_weight[class_of(share.weight)]++;
            find_scale(b);
        }
        a.weight = share.weight;
        return {};
    }

  private:
    // When `runner` will have become so poor that `waiter` beats it, within limits.
    static Nanos slice_end(const Bank& b, const Unit& runner, const Unit& waiter, Nanos now, Nanos earliest) {
        s64 lead = static_cast<s64>(waiter.key - runner.key) + kGrain;
        if (lead > kMaxDelta) lead = kMaxDelta;
        Nanos slice = lead <= 0 ? 0 : to_real(b, account(runner), lead);
        if (slice > kMaxSlice) slice = kMaxSlice;
        if (slice < kMinSlice) slice = kMinSlice;
        return now + slice > earliest ? now + slice : earliest;
    }
};

constinit const Credit2 policy;

}  // namespace

const Policy& credit2() { return policy; }

s64 credit2_credit(const Queue& q, const Unit& u) { return credit(q.policy.as<Bank>(), u); }

}  // namespace domus::sched
