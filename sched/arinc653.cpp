// SPDX-License-Identifier: GPL-2.0-or-later
// The first CPU of the pool follows the table; the others idle, as the table is of one CPU. A slot whose unit
// does not want it, or does not exist, is idle time: nobody's time depends on what another does.
#include "sched/arinc653.hpp"

#include <new>

namespace domus::sched {

namespace {

constexpr Nanos kDefaultSlot = 10 * kMillisecond;

struct Slot {
    const ArincEntry* entry = nullptr;  // null: time that the table leaves over
    Nanos end = 0;
};

// The slot that `now` lies in. Moves the frame's start on.
Slot slot_at(ArincTable& t, Nanos now) {
    if (t.major_frame <= 0) return {.end = port::kNever};
    if (now < t.start || t.start == 0) t.start = now;
    t.start += (now - t.start) / t.major_frame * t.major_frame;
    Nanos end = t.start;
    for (u32 i = 0; i < t.count; i++) {
        end += t.entries[i].runtime;
        if (now < end) return {.entry = &t.entries[i], .end = end};
    }
    return {.end = t.start + t.major_frame};
}

bool is(const ArincEntry& e, const Unit& u) {
    static constexpr std::array<u8, 16> none{};
    return e.vcpu == u.vcpu && e.handle == (u.group != nullptr ? u.group->handle : none);
}

class Arinc653 final : public Policy {
  public:
    constexpr Arinc653() : Policy("arinc653", 7) {}

    u32 cpus_per_queue() const override { return kMaxCpusPerQueue; }
    bool balances() const override { return false; }
    usize pool_space() const override { return sizeof(ArincTable); }
    void init_pool(Pool& pool) const override { new (pool.space) ArincTable; }

    void cpu_added(Queue& q, Cpu&) const override { q.useful = q.members() & -q.members(); }
    void cpu_removed(Queue& q, Cpu&) const override { q.useful = q.members() & -q.members(); }

    // Dom0 has to run for a table to be given.
    void attach(Queue& q, Unit& u, Nanos) const override {
        ArincTable& t = arinc_table(*q.pool);
        if (t.given || q.index != 0 || u.domain != DomId(0) || t.count == kArincMostEntries) return;
        for (u32 i = 0; i < t.count; i++)
            if (is(t.entries[i], u)) return;
        ArincEntry& e = t.entries[t.count++];
        e = {.vcpu = u.vcpu, .runtime = kDefaultSlot};
        if (u.group != nullptr) e.handle = u.group->handle;
        t.major_frame += kDefaultSlot;
    }

    void order(Queue&, Unit& u, Nanos, Why) const override { u.key = 0; }

    Decision pick(Queue& q, Cpu& cpu, Unit* current, Nanos now) const override {
        if (q.index != 0 || (cpu.bit() & q.useful) == 0) return {};
        const Slot slot = slot_at(arinc_table(*q.pool), now);
        if (slot.entry == nullptr) return {nullptr, slot.end};
        if (current != nullptr && is(*slot.entry, *current)) return {current, slot.end};
        Unit* next =
            q.waiting.first_of([&](const Unit& u) { return is(*slot.entry, u) && u.hard.test(cpu.id); });
        if (next != nullptr) q.take(*next);
        return {next, slot.end};
    }

    // The CPU looks at the end of each slot, and before that there is nothing to gain.
    Cpu* preempts(Queue&, const Unit&, u64, Nanos) const override { return nullptr; }
};

constinit const Arinc653 policy;

}  // namespace

Result<> check(const ArincTable& table) {
    if (table.count == 0 || table.count > kArincMostEntries || table.major_frame <= 0)
        return fail(Error::inval);
    Nanos sum = 0;
    for (u32 i = 0; i < table.count; i++) {
        const Nanos runtime = table.entries[i].runtime;
        if (runtime <= 0 || runtime > table.major_frame - sum) return fail(Error::inval);
        sum += runtime;
    }
    return {};
}

ArincTable& arinc_table(Pool& pool) { return pool.as<ArincTable>(); }

const Policy& arinc653() { return policy; }

}  // namespace domus::sched
