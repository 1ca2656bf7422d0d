// SPDX-License-Identifier: GPL-2.0-or-later
// rtds, null and arinc653 in simulated machines.
#include <gtest/gtest.h>

#include <algorithm>

#include "sched/arinc653.hpp"
#include "sched/credit2.hpp"
#include "sched/null.hpp"
#include "sched/rtds.hpp"
#include "sched_simulation.hpp"

namespace domus::sched {
namespace {

double percent(const Simulation::Task& t, Nanos of) {
    return 100.0 * static_cast<double>(t.ran) / static_cast<double>(of);
}

// ---- rtds -----------------------------------------------------------------------------------------

TEST(Rtds, DeadlinesAreMet) {
    Simulation s(1, rtds());
    // 85 % in all: earliest deadline first meets them all.
    struct {
        Nanos period, budget;
    } const sets[] = {{10, 2}, {20, 5}, {50, 10}, {100, 20}};
    for (const auto& r : sets)
        s.add_periodic({.period = r.period * kMillisecond, .budget = r.budget * kMillisecond},
                       r.budget * kMillisecond - 100 * kMicrosecond);
    s.run(60 * kSecond);
    for (auto& t : s.tasks) {
        EXPECT_EQ(t->missed, 0u) << t->period;
        EXPECT_GT(t->ran, 0);
    }
}

TEST(Rtds, NobodyHarmsAReservation) {
    Simulation s(2, rtds());
    s.idle_means_free = false;
    auto& a = s.add_periodic({.period = 10 * kMillisecond, .budget = 4 * kMillisecond}, 3900 * kMicrosecond);
    for (int i = 0; i < 6; i++) s.add();  // want everything, have 40 % each
    s.run(30 * kSecond);
    // 7 x 40 % on two CPUs is too much, so some are late; but nobody starves, and nobody gets more.
    for (auto& t : s.tasks) {
        EXPECT_LE(percent(*t, 30 * kSecond), 41.0);
        EXPECT_GT(percent(*t, 30 * kSecond), 15.0);
    }
    (void)a;
}

TEST(Rtds, TheBudgetIsTheLimit) {
    Simulation s(2, rtds());
    s.idle_means_free = false;
    auto& t = s.add();
    ASSERT_TRUE(
        s.engine.set_reservation(t.unit, {.period = 20 * kMillisecond, .budget = 5 * kMillisecond}, s.now));
    s.run(kSecond);
    s.start_measuring();
    s.run(10 * kSecond);
    EXPECT_NEAR(percent(t, 10 * kSecond), 25.0, 0.5);
}

TEST(Rtds, ExtraTimeIsWhatOthersLeave) {
    Simulation s(1, rtds());
    auto& strict =
        s.add_periodic({.period = 10 * kMillisecond, .budget = 5 * kMillisecond}, 4900 * kMicrosecond);
    auto& a = s.add();
    auto& b = s.add();
    for (auto* t : {&a, &b})
        ASSERT_TRUE(s.engine.set_reservation(
            t->unit, {.period = 10 * kMillisecond, .budget = kMillisecond, .extra = true}, s.now));
    s.run(kSecond);
    s.start_measuring();
    strict.missed = 0;
    s.run(10 * kSecond);
    EXPECT_EQ(strict.missed, 0u);
    EXPECT_GT(percent(a, 10 * kSecond) + percent(b, 10 * kSecond), 49.0) << "the CPU is never idle";
    EXPECT_GT(percent(a, 10 * kSecond), 15.0);
    EXPECT_GT(percent(b, 10 * kSecond), 15.0);
}

TEST(Rtds, ChecksTerms) {
    Simulation s(1, rtds());
    s.idle_means_free = false;
    auto& t = s.add();
    EXPECT_EQ(*s.engine.reservation(t.unit), Reservation{});
    for (const Reservation& bad : {Reservation{.period = 0, .budget = 0},
                                   Reservation{.period = kMillisecond, .budget = 2 * kMillisecond},
                                   Reservation{.period = kMillisecond, .budget = 0},
                                   Reservation{.period = 2000 * kSecond, .budget = kSecond}})
        EXPECT_FALSE(s.engine.set_reservation(t.unit, bad, s.now));
    EXPECT_FALSE(s.engine.set_share(t.unit, {.weight = 512}, s.now));
    const Reservation good{.period = 5 * kMillisecond, .budget = kMillisecond, .extra = true};
    EXPECT_TRUE(s.engine.set_reservation(t.unit, good, s.now));
    EXPECT_EQ(*s.engine.reservation(t.unit), good);
}

TEST(Credit2, HasNoReservations) {
    Simulation s(1, credit2());
    EXPECT_FALSE(s.engine.set_reservation(s.add().unit, {}, 0));
    EXPECT_FALSE(s.engine.reservation(s.tasks[0]->unit));
}

// ---- null -----------------------------------------------------------------------------------------

TEST(Null, OneCpuEachAndTheRestWaits) {
    Simulation s(3, null());
    s.idle_means_free = false;
    for (int i = 0; i < 4; i++) s.add();
    s.run(kSecond);
    u32 running = 0;
    for (auto& t : s.tasks) {
        EXPECT_TRUE(t->ran == 0 || percent(*t, kSecond) > 99.9);
        running += t->ran != 0;
    }
    EXPECT_EQ(running, 3u);
    EXPECT_LT(s.looks, 20u) << "no timer";
    // One goes, the fourth takes its place.
    auto& gone = **std::ranges::find_if(s.tasks, [](auto& t) { return t->ran != 0; });
    auto& fourth = **std::ranges::find_if(s.tasks, [](auto& t) { return t->ran == 0; });
    s.stop(gone);
    s.run(kMillisecond);
    s.engine.remove_unit(gone.unit, s.now);
    gone.unit.queue = nullptr;
    s.look_at_notes();
    s.start_measuring();
    s.run(kSecond);
    EXPECT_GT(percent(fourth, kSecond), 99.0);
}

TEST(Null, TheOwnerFindsItsCpuFree) {
    Simulation s(2, null());
    s.idle_means_free = false;
    for (int i = 0; i < 2; i++)
        s.add({}, s.between(10 * kMicrosecond, kMillisecond), s.between(10 * kMicrosecond, kMillisecond));
    auto& extra = s.add();
    s.run(100 * kMillisecond);
    s.start_measuring();
    s.run(5 * kSecond);
    EXPECT_EQ(extra.ran, 0);
    for (int i = 0; i < 2; i++) {
        EXPECT_GT(s.tasks[static_cast<usize>(i)]->ran, kSecond);
        EXPECT_LT(s.tasks[static_cast<usize>(i)]->worst_latency, 10 * kMicrosecond);
    }
}

// ---- arinc653 -------------------------------------------------------------------------------------

TEST(Arinc653, FollowsTheTable) {
    Simulation s(1, arinc653());
    s.idle_means_free = false;
    Group groups[3];
    for (u8 i = 0; i < 3; i++) {
        groups[i].handle = {static_cast<u8>(i + 1)};
        s.add_to(s.engine.first_pool(), &groups[i]).unit.domain = DomId(i + 1u);
    }
    ArincTable table;
    table.major_frame = 100 * kMillisecond;
    table.count = 3;
    table.entries[0] = {.handle = groups[0].handle, .runtime = 20 * kMillisecond};
    table.entries[1] = {.handle = groups[2].handle, .runtime = 30 * kMillisecond};
    table.entries[2] = {.handle = {99}, .runtime = 10 * kMillisecond};  // nobody
    ASSERT_TRUE(check(table));
    table.given = true;
    s.engine.change_pool(s.engine.first_pool(), [&] { arinc_table(s.engine.first_pool()) = table; });
    s.look_at_notes();
    s.run(kSecond);
    s.start_measuring();
    s.run(10 * kSecond);
    EXPECT_NEAR(percent(*s.tasks[0], 10 * kSecond), 20, 0.1);
    EXPECT_EQ(s.tasks[1]->ran, 0);
    EXPECT_NEAR(percent(*s.tasks[2], 10 * kSecond), 30, 0.1);
    EXPECT_LT(s.looks, 10 * 10 * 6u);
}

TEST(Arinc653, ASleeperLosesNoOtherTime) {
    Simulation s(2, arinc653());
    s.idle_means_free = false;
    for (int i = 0; i < 2; i++) s.add();  // of domain 0: they have places by default
    s.tasks[1]->unit.vcpu = VcpuId(1);
    s.run(100 * kMillisecond);
    s.start_measuring();
    s.run(kSecond);
    // Both are "vCPU 0 of domain 0" to the table when they are added, which has one place then.
    EXPECT_NEAR(percent(*s.tasks[0], kSecond), 100, 1);
}

TEST(Arinc653, ChecksTables) {
    ArincTable t;
    EXPECT_FALSE(check(t));
    t.major_frame = 10;
    t.count = 2;
    t.entries[0].runtime = 5;
    EXPECT_FALSE(check(t)) << "a slot without time";
    t.entries[1].runtime = 6;
    EXPECT_FALSE(check(t)) << "more than the frame";
    t.entries[1].runtime = port::kNever;
    EXPECT_FALSE(check(t)) << "no overflow";
    t.entries[1].runtime = 5;
    EXPECT_TRUE(check(t));
    t.count = 65;
    EXPECT_FALSE(check(t));
}

// ---- pools ----------------------------------------------------------------------------------------

class Pools : public testing::Test {
  protected:
    std::vector<std::vector<Bench::Block>> storage;
    Simulation s{4, credit2()};
    Pool& make(const Policy& policy) {
        auto& memory = storage.emplace_back(s.engine.pool_size(policy) / sizeof(Bench::Block) + 1);
        auto pool = s.engine.make_pool({memory.data()->bytes, memory.size() * sizeof(Bench::Block)}, policy);
        EXPECT_TRUE(pool);
        return **pool;
    }
    void leave(u32 cpu) {
        s.engine.remove_cpu(CpuId(cpu), s.now);
        s.look_at_notes();
        s.run(100 * kMicrosecond);
        ASSERT_TRUE(s.engine.cpu_left(CpuId(cpu)));
        ASSERT_EQ(s.engine.pool_of(CpuId(cpu)), nullptr);
    }
    void join(Pool& pool, u32 cpu) {
        s.engine.add_cpu(pool, CpuId(cpu));
        s.look_at_notes();
    }
    void move(Simulation::Task& t, Pool& pool) {
        s.stop(t);
        s.run(100 * kMicrosecond);
        s.engine.move_unit(t.unit, pool, s.now);
        s.start(t);
    }
};

TEST_F(Pools, CpusAndUnitsMove) {
    for (int i = 0; i < 4; i++) s.add();
    s.run(10 * kMillisecond);
    leave(3);
    leave(2);
    s.start_measuring();
    s.run(kSecond);
    for (auto& t : s.tasks) EXPECT_NEAR(percent(*t, kSecond), 50, 3);
    Pool& two = make(rtds());
    join(two, 3);
    EXPECT_EQ(s.engine.pool_of(CpuId(3)), &two);
    s.idle_means_free = false;
    move(*s.tasks[0], two);
    s.run(100 * kMillisecond);
    s.start_measuring();
    s.run(kSecond);
    EXPECT_NEAR(percent(*s.tasks[0], kSecond), 40, 1) << "what rtds reserves by default";
    for (usize i = 1; i < 4; i++) EXPECT_NEAR(percent(*s.tasks[i], kSecond), 66.6, 4);
    EXPECT_EQ(two.units, 1u);
    move(*s.tasks[0], s.engine.first_pool());
    leave(3);
    join(s.engine.first_pool(), 2);
    join(s.engine.first_pool(), 3);
    s.start_measuring();
    s.run(kSecond);
    for (auto& t : s.tasks) EXPECT_GT(percent(*t, kSecond), 99);
    EXPECT_EQ(two.units, 0u);
}

TEST_F(Pools, WhoLosesItsLastCpuWaits) {
    auto& t = s.add();
    s.pin(t, 8);
    s.run(kMillisecond);
    EXPECT_EQ(t.unit.cpu.v, 3u);
    s.idle_means_free = false;
    leave(3);
    s.start_measuring();
    s.run(10 * kMillisecond);
    EXPECT_EQ(t.ran, 0);
    join(s.engine.first_pool(), 3);
    s.run(10 * kMillisecond);
    EXPECT_GT(t.ran, 9 * kMillisecond);
    leave(3);
    s.pin(t, 15);
    s.run(10 * kMillisecond);
    EXPECT_GT(t.ran, 18 * kMillisecond);
    EXPECT_FALSE(s.engine.set_affinity(t.unit, {t.masks, 1}, {}, s.now).has_value() && false);
    static const u64 gone = 8;
    EXPECT_FALSE(s.engine.set_affinity(t.unit, {&gone, 1}, {}, s.now)) << "none of the pool's CPUs";
}

TEST_F(Pools, AWatcherThatLeavesIsReplaced) {
    Group group;
    group.set_cap(10, 0);
    auto& t = s.add_to(s.engine.first_pool(), &group);
    s.run(25 * kMillisecond);
    for (u32 round = 0; round < 12; round++) {
        // Whichever CPU watches, it goes.
        const u32 watcher = t.unit.queue.load()->watcher;
        const u32 cpu = watcher < 4 ? watcher : round % 4;
        leave(cpu);
        s.start_measuring();
        s.run(40 * kMillisecond);
        EXPECT_NEAR(percent(t, 40 * kMillisecond), 10, 3.5);
        join(s.engine.first_pool(), cpu);
        s.run(7 * kMillisecond);
    }
}

// Everything at once, by chance: the simulation's own checks are the test, and that all run in the end.
class PoolChurn : public testing::TestWithParam<int> {};

TEST_P(PoolChurn, LosesNobody) {
    const u64 seed = static_cast<u64>(GetParam());
    std::mt19937_64 random(seed);
    constexpr u32 kCpus = 6, kUnits = 10;
    std::vector<std::vector<Bench::Block>> storage;
    Simulation s(kCpus, credit2(), seed, seed % 2 == 0 ? 2 : 0);
    s.idle_means_free = false;
    std::vector<Pool*> pools{&s.engine.first_pool()};
    for (const Policy* policy : {&rtds(), &null(), &credit2()}) {
        auto& memory = storage.emplace_back(s.engine.pool_size(*policy) / sizeof(Bench::Block) + 1);
        pools.push_back(
            *s.engine.make_pool({memory.data()->bytes, memory.size() * sizeof(Bench::Block)}, *policy));
    }
    static constexpr u64 masks[] = {~u64{0}, 0x3f, 0x0f, 0x31};
    Group groups[kUnits];
    for (u32 i = 0; i < kUnits; i++) {
        if (i % 3 == 0) groups[i].set_cap(static_cast<u32>(1 + random() % 80), 0);
        if (i % 2 == 0)
            s.add_to(*pools[0], &groups[i]);
        else
            s.add_to(*pools[0], &groups[i], {}, s.between(kMicrosecond, 3 * kMillisecond),
                     s.between(kMicrosecond, 3 * kMillisecond));
    }
    for (int round = 0; round < 150; round++) {
        s.run(static_cast<Nanos>(random() % 3'000'000));
        ASSERT_FALSE(HasFatalFailure());
        const CpuId cpu(static_cast<u32>(1 + random() % (kCpus - 1)));
        switch (random() % 4) {
            case 0:
                s.engine.remove_cpu(cpu, s.now);
                s.look_at_notes();
                break;
            case 1:
                if (s.engine.pool_of(cpu) == nullptr && s.engine.cpu_left(cpu)) {
                    s.engine.add_cpu(*pools[random() % pools.size()], cpu);
                    s.look_at_notes();
                }
                break;
            case 2: {
                auto& t = *s.tasks[random() % kUnits];
                s.stop(t);
                s.run(20 * kMicrosecond);
                if (!t.unit.running) s.engine.move_unit(t.unit, *pools[random() % pools.size()], s.now);
                s.start(t);
                break;
            }
            default:
                // Refused where its pool has no such CPU.
                static_cast<void>(s.engine.set_affinity(s.tasks[random() % kUnits]->unit,
                                                        {&masks[random() % std::size(masks)], 1}, {}, s.now));
                s.look_at_notes();
        }
    }
    // All home again.
    for (auto& t : s.tasks) {
        static_cast<void>(s.engine.set_affinity(t->unit, {}, {}, s.now));
        s.stop(*t);
        s.run(50 * kMicrosecond);
        s.engine.move_unit(t->unit, *pools[0], s.now);
        s.start(*t);
    }
    for (u32 cpu = 0; cpu < kCpus; cpu++) {
        if (s.engine.pool_of(CpuId(cpu)) == pools[0]) continue;
        s.engine.remove_cpu(CpuId(cpu), s.now);
        s.look_at_notes();
        s.run(50 * kMicrosecond);
        ASSERT_TRUE(s.engine.cpu_left(CpuId(cpu)));
        s.engine.add_cpu(*pools[0], CpuId(cpu));
        s.look_at_notes();
    }
    for (usize i = 1; i < pools.size(); i++) {
        EXPECT_EQ(pools[i]->units, 0u);
        EXPECT_EQ(pools[i]->cpus, 0u);
    }
    for (auto& t : s.tasks) s.pin(*t, ~u64{0});
    s.start_measuring();
    s.run(300 * kMillisecond);
    for (auto& t : s.tasks) EXPECT_GT(t->ran, 0) << "starved";
}
INSTANTIATE_TEST_SUITE_P(Seeds, PoolChurn, testing::Range(0, 24));

}  // namespace
}  // namespace domus::sched
