// SPDX-License-Identifier: GPL-2.0-or-later
// credit2 in simulated machines: shares, latency, affinity, scale.
#include "sched/credit2.hpp"

#include <gtest/gtest.h>

#include "fakes/round_robin.hpp"
#include "sched_simulation.hpp"

namespace domus::sched {
namespace {

// Share of one CPU, in per cent.
double percent(const Simulation::Task& t, Nanos of) {
    return 100.0 * static_cast<double>(t.ran) / static_cast<double>(of);
}

TEST(Credit2, EightEqualGuestsShareTwoCpus) {
    Simulation s(2, credit2());
    for (int i = 0; i < 8; i++) s.add();
    s.run(2 * kSecond);
    s.start_measuring();
    s.run(2 * kSecond);
    for (auto& t : s.tasks) EXPECT_NEAR(percent(*t, 2 * kSecond), 25.0, 25.0 * 0.03);
    EXPECT_LT(s.looks, 2 * 2000 / 2u);  // seldom less than two milliseconds at a stretch
}

TEST(Credit2, ThreeShareTwoCpus) {
    Simulation s(2, credit2());
    for (int i = 0; i < 3; i++) s.add();
    s.run(3 * kSecond);
    for (auto& t : s.tasks) EXPECT_NEAR(percent(*t, 3 * kSecond), 66.7, 1.0);
}

TEST(Credit2, WeightsAreShares) {
    for (const u16 scale : {u16{1}, u16{10}, u16{600}, u16{3000}}) {
        Simulation s(1, credit2());
        u32 total = 0;
        for (u16 w : {u16{1}, u16{2}, u16{3}, u16{4}, u16{10}}) {
            s.add({.weight = static_cast<u16>(w * scale)});
            total += w;
        }
        s.run(10 * kSecond);
        u32 i = 0;
        for (u32 w : {1, 2, 3, 4, 10}) {
            const double fair = 100.0 * w / total;
            EXPECT_NEAR(percent(*s.tasks[i], 10 * kSecond), fair, 0.3 + fair * 0.02) << w << " x " << scale;
            i++;
        }
    }
}

TEST(Credit2, ExtremeWeights) {
    Simulation s(1, credit2());
    s.add({.weight = 65535});
    s.add({.weight = 1});
    s.run(20 * kSecond);
    EXPECT_GT(percent(*s.tasks[0], 20 * kSecond), 99.9);
}

TEST(Credit2, ASleeperRunsSoon) {
    Simulation s(2, credit2());
    for (int i = 0; i < 8; i++) s.add();
    auto& t = s.add({}, s.between(50 * kMicrosecond, 200 * kMicrosecond),
                    s.between(kMillisecond, 5 * kMillisecond));
    s.run(100 * kMillisecond);
    s.start_measuring();
    s.run(5 * kSecond);
    EXPECT_LT(t.worst_latency, 1100 * kMicrosecond);  // the rate limit
}

TEST(Credit2, SleepingIsNotSaving) {
    Simulation s(1, credit2());
    for (int i = 0; i < 2; i++) s.add();
    Nanos pause = 20 * kSecond;
    // Sleeps for long while the others are granted credit again and again, then computes for ever.
    auto& t = s.add({}, [&] { return s.now == 0 ? 1 : 1000 * kSecond; }, [&] { return pause; });
    s.run(20 * kSecond);
    ASSERT_FALSE(t.unit.runnable);
    s.run(kMillisecond);
    s.start_measuring();
    s.run(100 * kMillisecond);
    for (auto& each : s.tasks) EXPECT_NEAR(percent(*each, 100 * kMillisecond), 33.3, 12.0);
}

// Alone on a CPU for long, then a rival comes: the past is forgotten.
TEST(Credit2, RunningAloneIsNotDebt) {
    Simulation s(1, credit2());
    s.add();
    s.run(60 * kSecond);
    EXPECT_LT(s.looks, 10u);  // tickless
    s.add();
    s.start_measuring();
    s.run(100 * kMillisecond);
    EXPECT_NEAR(percent(*s.tasks[0], 100 * kMillisecond), 50.0, 12.0);
}

// … also where the others' accounts moved on meanwhile.
TEST(Credit2, RunningAloneBesideOthersIsNotDebt) {
    Simulation s(2, credit2());
    auto& pinned = s.add();
    s.pin(pinned, 1);
    for (int i = 0; i < 3; i++) s.pin(s.add(), 2);
    s.run(30 * kSecond);
    EXPECT_NEAR(percent(pinned, 30 * kSecond), 100.0, 0.1);
    for (int i = 1; i <= 3; i++)
        EXPECT_NEAR(percent(*s.tasks[static_cast<usize>(i)], 30 * kSecond), 33.3, 0.5);
    for (auto& t : s.tasks) s.pin(*t, 3);
    s.start_measuring();
    s.run(kSecond);
    for (auto& t : s.tasks) EXPECT_NEAR(percent(*t, kSecond), 50.0, 4.0);
}

TEST(Credit2, WeightsHoldUnderAffinity) {
    Simulation s(2, credit2());
    s.pin(s.add(), 1);
    s.pin(s.add({.weight = 512}), 2);
    s.pin(s.add({.weight = 256}), 2);
    s.run(10 * kSecond);
    EXPECT_NEAR(percent(*s.tasks[1], 10 * kSecond), 66.7, 2.0);
    EXPECT_NEAR(percent(*s.tasks[2], 10 * kSecond), 33.3, 2.0);
}

TEST(Credit2, SoftAffinityIsFollowedWhereFree) {
    Simulation s(4, credit2());
    for (u32 i = 0; i < 4; i++) {
        auto& t = s.add({}, s.between(kMillisecond, 2 * kMillisecond),
                        s.between(8 * kMillisecond, 20 * kMillisecond));
        s.pin(t, 0xf, u64{1} << (i % 2));
    }
    s.run(5 * kSecond);
    const Nanos preferred =
        10 * kSecond - s.engine.idle_time(CpuId(0), s.now) - s.engine.idle_time(CpuId(1), s.now);
    const Nanos other =
        10 * kSecond - s.engine.idle_time(CpuId(2), s.now) - s.engine.idle_time(CpuId(3), s.now);
    EXPECT_GT(preferred, 4 * other);
}

TEST(Credit2, IdleMachineIsQuiet) {
    Simulation s(4, credit2());
    s.add({}, s.between(1, 100), {});
    s.run(kSecond);
    s.start_measuring();
    s.run(10 * kSecond);
    EXPECT_EQ(s.looks, 0u);
}

TEST(Credit2, ShareIsChecked) {
    Simulation s(1, credit2());
    auto& t = s.add();
    EXPECT_EQ(s.engine.set_share(t.unit, {.weight = 0}, 0).error(), Error::inval);
    EXPECT_TRUE(s.engine.set_share(t.unit, {.weight = 65535}, 0).has_value());
}

// Every ns that a unit runs is charged at its rate, as long as somebody waits; nothing else changes what it
// spent.
TEST(Credit2, AccountsAreExact) {
    Simulation s(2, credit2());
    const u16 weights[] = {256, 128, 64, 256, 512};
    std::vector<u64> before;
    for (const u16 w : weights) s.add({.weight = w});
    s.run(100 * kMillisecond);
    s.start_measuring();
    for (auto& t : s.tasks) before.push_back(t->unit.key);
    s.run(5 * kSecond);
    const Queue& q = s.engine.queue(0);
    Nanos total = 0;
    for (usize i = 0; i < std::size(weights); i++) {
        const auto& t = *s.tasks[i];
        total += t.ran;
        const Nanos spent = static_cast<Nanos>(t.unit.key - before[i]);
        // What runs has not been charged since the last look; each charge may round down by a ns.
        EXPECT_NEAR(static_cast<double>(spent), static_cast<double>(t.ran * 512 / weights[i]),
                    11e6 * 512 / weights[i]);
        EXPECT_LE(credit2_credit(q, t.unit), 4 * kCredit2Grant);
    }
    EXPECT_GT(total, 2 * 5 * kSecond - 20 * kMillisecond);
}

TEST(Credit2, QueuesAreBalanced) {
    for (const int units : {3, 5, 7, 12}) {
        Simulation s(4, credit2(), 1, units == 3 ? 2 : 1);
        for (int i = 0; i < units; i++) s.add();
        s.run(kSecond);
        s.start_measuring();
        s.run(8 * kSecond);
        const double fair = std::min(100.0, 400.0 / units);
        for (auto& t : s.tasks) EXPECT_NEAR(percent(*t, 8 * kSecond), fair, fair * 0.06) << units;
    }
}

TEST(Credit2, FifteenCpusMakeQueuesOfOneSize) {
    Simulation s(15, credit2(), 1, 4);
    EXPECT_EQ(s.engine.queue_count(), 4u);
    EXPECT_EQ(s.engine.queue(3).cpu_count, 3u);
}

// Random machines: the simulation's own checks are the test, and that everyone gets on.
class RandomMachine : public testing::TestWithParam<int> {};

TEST_P(RandomMachine, KeepsItsPromises) {
    const u64 seed = static_cast<u64>(GetParam());
    std::mt19937_64 random(seed);
    const Policy& policy = seed % 4 == 0 ? round_robin() : credit2();
    const u32 cpus = 1 + static_cast<u32>(random() % 8);
    const u32 per_queue = seed % 3 == 0 ? 1 + static_cast<u32>(random() % 3) : 0;
    Simulation s(cpus, policy, seed, per_queue);
    const u32 units = 1 + static_cast<u32>(random() % (2 * cpus + 4));
    std::vector<u16> weights;
    for (u32 i = 0; i < units; i++) {
        const Share share{
            .weight = static_cast<u16>(seed % 4 == 0 || random() % 3 != 0 ? 256 : 1 + random() % 65535)};
        weights.push_back(share.weight);
        switch (random() % 4) {
            case 0: s.add(share); break;
            case 1: s.add(share, s.between(1, 50 * kMicrosecond), s.between(1, 50 * kMicrosecond)); break;
            case 2:
                s.add(share, s.between(kMillisecond, 30 * kMillisecond), s.between(1, 10 * kMillisecond));
                break;
            default:
                s.add(share, s.between(10 * kMicrosecond, kMillisecond), s.between(1, 30 * kMillisecond));
        }
    }
    for (int round = 0; round < 12; round++) {
        s.run(5 * kMillisecond);
        ASSERT_FALSE(HasFatalFailure());
        auto& t = *s.tasks[random() % units];
        const u64 all = cpus == 64 ? ~u64{0} : (u64{1} << cpus) - 1;
        if (random() % 2 == 0)
            s.pin(t, random() % 2 == 0 ? all : (random() & all) | u64{1} << random() % cpus, random());
        if (random() % 4 == 0)
            static_cast<void>(s.engine.migrate(t.unit, CpuId(static_cast<u32>(random() % cpus)), s.now));
    }
    for (auto& t : s.tasks) s.pin(*t, ~u64{0});
    s.start_measuring();
    s.check_every = 100;
    s.run(200 * kMillisecond);
    for (usize i = 0; i < s.tasks.size(); i++) {
        if (weights[i] >= 256) {
            EXPECT_GT(s.tasks[i]->ran, 0) << "starved";
        }
    }
}
INSTANTIATE_TEST_SUITE_P(Seeds, RandomMachine, testing::Range(0, 40));

// Soft affinity draws a unit to CPUs of another queue when one of them is idle, and keeps it from nothing.
TEST(Credit2, SoftAffinityAcrossQueues) {
    Simulation s(8, credit2(), 1, 4);
    auto& t =
        s.add({}, s.between(100 * kMicrosecond, kMillisecond), s.between(kMillisecond, 3 * kMillisecond));
    for (const u64 soft : {u64{0x40}, u64{0x02}, u64{0xc0}}) {
        s.pin(t, 0xff, soft);
        s.run(20 * kMillisecond);
        for (int i = 0; i < 20; i++) {
            s.run(kMillisecond);
            EXPECT_NE(soft >> t.unit.cpu.v & 1, 0u) << t.unit.cpu.v;
        }
    }
    // All of those are taken: then it runs elsewhere.
    s.pin(t, 0xff, 0x80);
    s.pin(s.add(), 0x80);
    s.run(50 * kMillisecond);
    s.start_measuring();
    s.run(kSecond);
    EXPECT_GT(percent(t, kSecond), 15);
    EXPECT_LT(t.worst_latency, 100 * kMicrosecond);
}

// Eight domains of different weights on two CPUs, each within a tenth of its share over a minute; some
// compute, some sleep now and then and want more than they get.
TEST(Credit2, EightWeightedDomainsWithinATenth) {
    Simulation s(2, credit2());
    s.check_every = 100;
    constexpr u16 weights[] = {128, 256, 256, 256, 512, 512, 768, 1024};
    u32 total = 0;
    for (const u16 w : weights) {
        s.add({.weight = w});
        total += w;
    }
    s.run(kSecond);
    s.start_measuring();
    s.run(60 * kSecond);
    for (usize i = 0; i < std::size(weights); i++) {
        const double fair = 200.0 * weights[i] / total;
        EXPECT_NEAR(percent(*s.tasks[i], 60 * kSecond), fair, fair * 0.1) << weights[i];
    }
}

// ---- caps -----------------------------------------------------------------------------------------

TEST(Caps, HoldOnAnIdleMachine) {
    for (const u32 cap : {1u, 10u, 50u, 99u, 100u, 150u, 200u}) {
        Group group;
        Simulation s(2, credit2());
        s.add_to(s.engine.first_pool(), &group);
        s.add_to(s.engine.first_pool(), &group);
        group.set_cap(cap, s.now);
        s.run(100 * kMillisecond);
        s.start_measuring();
        s.run(10 * kSecond);
        const double got = percent(*s.tasks[0], 10 * kSecond) + percent(*s.tasks[1], 10 * kSecond);
        EXPECT_LE(got, cap * 1.05);
        EXPECT_GE(got, cap * 0.95);
    }
}

TEST(Caps, HoldAmongOthersAndForSleepers) {
    Group groups[3];
    Simulation s(2, credit2());
    s.check_every = 10;
    for (int i = 0; i < 4; i++) s.add();
    auto& busy = s.add_to(s.engine.first_pool(), &groups[0]);
    auto& often = s.add_to(s.engine.first_pool(), &groups[1], {}, s.between(100 * kMicrosecond, kMillisecond),
                           s.between(10 * kMicrosecond, 100 * kMicrosecond));
    auto& modest =
        s.add_to(s.engine.first_pool(), &groups[2], {}, s.between(100 * kMicrosecond, kMillisecond),
                 s.between(20 * kMillisecond, 40 * kMillisecond));
    groups[0].set_cap(20, 0);
    groups[1].set_cap(10, 0);
    groups[2].set_cap(30, 0);
    s.run(kSecond);
    s.start_measuring();
    s.run(30 * kSecond);
    EXPECT_NEAR(percent(busy, 30 * kSecond), 20, 1.0);
    EXPECT_NEAR(percent(often, 30 * kSecond), 10, 0.5);
    EXPECT_LT(percent(modest, 30 * kSecond), 4);
    EXPECT_GT(percent(modest, 30 * kSecond), 1);
    for (int i = 0; i < 4; i++)
        EXPECT_NEAR(percent(*s.tasks[static_cast<usize>(i)], 30 * kSecond), 42.0, 3.0);
}

TEST(Caps, MayComeAndGo) {
    Group group;
    Simulation s(1, credit2());
    auto& t = s.add_to(s.engine.first_pool(), &group);
    s.run(100 * kMillisecond);
    group.set_cap(25, s.now);
    // Who runs alone finds out when it looks: the caller has every CPU look.
    s.engine.change_pool(s.engine.first_pool(), [] {});
    s.pin(t, 1);
    s.start_measuring();
    s.run(kSecond);
    EXPECT_NEAR(percent(t, kSecond), 25, 2);
    group.set_cap(0, s.now);
    s.run(20 * kMillisecond);
    s.start_measuring();
    s.run(kSecond);
    EXPECT_NEAR(percent(t, kSecond), 100, 0.1);
    EXPECT_LT(s.looks, 5u);
}

TEST(Caps, AnUnusedAllowanceIsNotSaved) {
    Group group;
    Simulation s(1, credit2());
    bool first = true;
    auto& t = s.add_to(
        s.engine.first_pool(), &group, {}, [&] { return std::exchange(first, false) ? 1 : kSecond; },
        [] { return 10 * kSecond; });
    group.set_cap(10, 0);
    s.run(10 * kSecond);
    s.start_measuring();
    s.run(200 * kMillisecond);
    EXPECT_NEAR(percent(t, 200 * kMillisecond), 10, 1.5);
}

TEST(Credit2, ThousandsOfUnits) {
    Simulation s(16, credit2());
    s.check_every = 5000;
    for (int i = 0; i < 3000; i++) {
        if (i % 2 == 0)
            s.add();
        else
            s.add({}, s.between(1, 100 * kMicrosecond), s.between(50 * kMillisecond, 500 * kMillisecond));
    }
    s.run(kSecond);
    s.start_measuring();
    s.run(4 * kSecond);
    Nanos least = port::kNever, most = 0;
    for (auto& t : s.tasks) {
        if (t->burst) continue;
        least = std::min(least, t->ran);
        most = std::max(most, t->ran);
    }
    EXPECT_GT(least, 0);
    EXPECT_LT(most - least, 25 * kMillisecond);  // a couple of slices
}

}  // namespace
}  // namespace domus::sched
