// SPDX-License-Identifier: GPL-2.0-or-later
// Reservations (a deferrable server each): a unit owns `budget` in every period of its own. The one whose
// period ends first goes first; who has used its budget up is parked until its next period, unless it may
// have extra time: then it goes on behind all who still own some.
#include "sched/rtds.hpp"

#include <algorithm>
#include <bit>

namespace domus::sched {

namespace {

// How many budgets beyond its own one may have used before that no longer makes it later than another.
constexpr u64 kMostExtra = 3;
// Beyond every deadline: 2^60 ns are 36 years.
constexpr u64 kLevel = u64{1} << 60;

struct Account {
    Reservation reservation;
    Nanos deadline = 0;  // end of its period; 0: it never ran
    Nanos left = 0;      // of the budget
    Nanos charged = 0;   // up to when its running is taken off
    u32 level = 0;       // budgets beyond its own that it is using
};

Account& account(Unit& u) { return u.policy.as<Account>(); }
const Account& account(const Unit& u) { return u.policy.as<Account>(); }

struct Shared {
    bool extra = false;  // a unit may have waited for time beyond its own
};

void place(Unit& u) {
    const Account& a = account(u);
    u.key = std::min<u64>(a.level, kMostExtra) * kLevel + static_cast<u64>(a.deadline);
}

// Starts the period that `now` lies in, if the last one is over.
void renew(Unit& u, Nanos now) {
    Account& a = account(u);
    if (now < a.deadline) return;
    const Nanos period = a.reservation.period;
    // A unit that slept for long starts afresh: nobody is owed the past.
    a.deadline = a.deadline == 0 || now - a.deadline > 64 * period
                     ? now + period
                     : a.deadline + ((now - a.deadline) / period + 1) * period;
    a.left = a.reservation.budget;
    a.level = 0;
    place(u);
}

// May it run now? If not, `release` says when.
bool eligible(Unit& u, Nanos now) {
    renew(u, now);
    Account& a = account(u);
    if (a.left > 0) return true;
    u.release = a.deadline;
    if (!a.reservation.extra) return false;
    a.left = a.reservation.budget;
    a.level++;
    place(u);
    return true;
}

void charge(Cpu& cpu, Nanos now) {
    if (cpu.current == nullptr) return;
    Account& a = account(*cpu.current);
    if (now <= a.charged) return;
    a.left -= now - a.charged;
    a.charged = now;
}

bool before(const Unit& a, const Unit& b) { return static_cast<s64>(a.key - b.key) < 0; }

// Those who wait for extra time are among the first again when their period begins. Returns when the next
// does.
Nanos renew_waiting(Queue& q, Nanos now) {
    if (!q.policy.as<Shared>().extra) return port::kNever;
    while (Unit* u = q.waiting.first_of(
               [now](const Unit& w) { return account(w).level != 0 && account(w).deadline <= now; })) {
        q.take(*u);
        renew(*u, now);
        q.put(*u);
    }
    Nanos next = port::kNever;
    q.waiting.for_each([&next](Unit& u) {
        if (account(u).level != 0) next = std::min(next, account(u).deadline);
    });
    q.policy.as<Shared>().extra = next != port::kNever;
    return next;
}

class Rtds final : public Policy {
  public:
    constexpr Rtds() : Policy("rtds", 8) {}

    u32 cpus_per_queue() const override { return kMaxCpusPerQueue; }
    void init_unit(Unit& u) const override { u.policy.make<Account>(); }

    void init_queue(Queue& q) const override { q.policy.make<Shared>(); }

    void order(Queue& q, Unit& u, Nanos now, Why) const override {
        u.parked = !eligible(u, now);
        place(u);
        if (account(u).level != 0) q.policy.as<Shared>().extra = true;
    }

    Decision pick(Queue& q, Cpu& cpu, Unit* current, Nanos now) const override {
        charge(cpu, now);
        if (current != nullptr && !eligible(*current, now)) current = nullptr;
        const Nanos renewal = renew_waiting(q, now);
        Unit* next = current;
        Unit* const head = q.first_for(cpu);
        if (head != nullptr && (current == nullptr || current->yielded || before(*head, *current))) {
            next = head;
            q.take(*head);
            // It waited into its next period, perhaps.
            renew(*head, now);
            account(*head).charged = now;
        }
        if (next == nullptr) return {};
        const Account& a = account(*next);
        return {next, std::min({now + a.left, a.deadline, renewal})};
    }

    void stop(Queue&, Cpu& cpu, Nanos now) const override { charge(cpu, now); }

    // The one whose deadline is furthest.
    Cpu* preempts(Queue& q, const Unit& u, u64 allowed, Nanos now) const override {
        Cpu* last = nullptr;
        for (; allowed != 0; allowed &= allowed - 1) {
            Cpu& cpu = q.cpus[std::countr_zero(allowed)];
            if (cpu.current == nullptr) continue;
            if (last == nullptr || before(*last->current, *cpu.current)) last = &cpu;
        }
        static_cast<void>(now);
        return last != nullptr && before(u, *last->current) ? last : nullptr;
    }

    Result<> set_reservation(Queue& q, Unit& u, Reservation r, Nanos now) const override {
        if (r.period < kRtdsLeastPeriod || r.period > kRtdsMostPeriod || r.budget < kRtdsLeastBudget ||
            r.budget > r.period)
            return fail(Error::inval);
        if (u.state == RunState::running) charge(q.cpus[u.cpu.v - q.first_cpu], now);
        // What counts as used stays used, within the new terms.
        Account& a = account(u);
        const Nanos used = std::max<Nanos>(a.reservation.budget - a.left, 0);
        a.reservation = r;
        a.left = r.budget - used;
        if (a.deadline != 0) a.deadline = std::min(a.deadline, now + r.period);
        return {};
    }
    Result<Reservation> reservation(const Unit& u) const override { return account(u).reservation; }
};

constinit const Rtds policy;

}  // namespace

const Policy& rtds() { return policy; }

}  // namespace domus::sched
