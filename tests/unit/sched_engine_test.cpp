// SPDX-License-Identifier: GPL-2.0-or-later
// The engine's rules, one by one, under the round-robin policy.
#include "sched/engine.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "fakes/machine.hpp"
#include "fakes/round_robin.hpp"

namespace domus::sched {
namespace {

class EngineTest : public testing::Test {
  protected:
    static constexpr u32 kCpus = 2;
    fakes::Machine machine{16 * kMiB, kCpus};
    struct alignas(64) Block {
        unsigned char bytes[64];
    };
    std::vector<Block> storage =
        std::vector<Block>(Engine::storage_size(kCpus, round_robin()) / sizeof(Block) + 1);
    Engine engine;
    Unit a, b, c;

    void SetUp() override {
        ASSERT_TRUE(
            engine.init(kCpus, round_robin(), {storage.data()->bytes, storage.size() * sizeof(Block)}));
        for (Unit* u : {&a, &b, &c}) engine.add_unit(*u, 0);
    }
    // Takes the note that a CPU should schedule.
    bool told(u32 cpu) {
        return (machine.work[cpu].exchange(0) & static_cast<u32>(port::Work::schedule)) != 0;
    }
    Decision schedule(u32 cpu, Nanos now) {
        told(cpu);
        return engine.schedule(CpuId(cpu), now);
    }
};

TEST_F(EngineTest, WakeTellsDifferentIdleCpus) {
    engine.wake(a, 10);
    engine.wake(b, 10);
    EXPECT_TRUE(told(0));
    EXPECT_TRUE(told(1));
    EXPECT_EQ(schedule(0, 11).next, &a);
    EXPECT_EQ(schedule(1, 11).next, &b);
    EXPECT_TRUE(a.running);
    engine.wake(a, 12);  // a second wake-up changes nothing
    EXPECT_FALSE(told(0));
}

TEST_F(EngineTest, AloneThereIsNoDeadlineAndAWaiterBringsOne) {
    engine.wake(a, 0);
    engine.wake(b, 0);
    schedule(0, 0);
    schedule(1, 0);
    EXPECT_EQ(schedule(0, 11 * kMillisecond).deadline, port::kNever);
    EXPECT_EQ(schedule(1, 11 * kMillisecond).deadline, port::kNever);
    engine.wake(c, 12 * kMillisecond);
    EXPECT_TRUE(told(0) || told(1));
}

TEST_F(EngineTest, NobodyPicksAUnitBeforeItsRegistersAreSaved) {
    engine.wake(a, 0);
    EXPECT_EQ(schedule(0, 1).next, &a);
    engine.sleep(a, 2);
    EXPECT_TRUE(told(0));
    EXPECT_EQ(schedule(0, 3).next, nullptr);
    engine.wake(a, 4);  // while CPU 0 saves it
    EXPECT_EQ(schedule(1, 5).next, nullptr);
    EXPECT_FALSE(told(0));
    engine.switched_out(a);
    EXPECT_TRUE(told(0) || told(1));
    EXPECT_EQ(schedule(1, 6).next, &a);
}

TEST_F(EngineTest, WakeBeforeTheSleeperIsDescheduled) {
    engine.wake(a, 0);
    schedule(0, 1);
    engine.sleep(a, 2);
    engine.wake(a, 3);
    EXPECT_EQ(schedule(0, 4).next, &a);
    const auto times = engine.run_times(a, 10);
    EXPECT_EQ(times.state, RunState::running);
    EXPECT_EQ(times.time[0], 9);
}

TEST_F(EngineTest, SleepTakesAWaiterOut) {
    engine.wake(a, 0);
    engine.sleep(a, 1, RunState::offline);
    EXPECT_EQ(schedule(0, 2).next, nullptr);
    EXPECT_EQ(engine.run_times(a, 3).state, RunState::offline);
}

TEST_F(EngineTest, YieldLetsTheWaiterGo) {
    u64 only_cpu0 = 1;
    for (Unit* u : {&a, &b}) ASSERT_TRUE(engine.set_affinity(*u, {&only_cpu0, 1}, {}, 0));
    engine.wake(a, 0);
    EXPECT_EQ(schedule(0, 0).next, &a);
    machine.set_cpu(CpuId(0));
    engine.yield(a);
    EXPECT_FALSE(told(0));  // nobody waits
    engine.wake(b, 1);
    EXPECT_EQ(schedule(0, 1).next, &a);
    engine.yield(a);
    EXPECT_TRUE(told(0));
    EXPECT_EQ(schedule(0, 2).next, &b);
    engine.switched_out(a);
    EXPECT_FALSE(told(1));  // idle, but not allowed
    EXPECT_EQ(schedule(1, 3).next, nullptr);
}

TEST_F(EngineTest, AffinityMovesARunningUnit) {
    engine.wake(a, 0);
    EXPECT_EQ(schedule(0, 0).next, &a);
    u64 only_cpu1 = 2, none = 4;
    EXPECT_FALSE(engine.set_affinity(a, {&none, 1}, {}, 1));
    ASSERT_TRUE(engine.set_affinity(a, {&only_cpu1, 1}, {}, 1));
    EXPECT_TRUE(told(0));
    EXPECT_EQ(schedule(0, 2).next, nullptr);
    engine.switched_out(a);
    EXPECT_TRUE(told(1));
    EXPECT_EQ(schedule(1, 3).next, &a);
    EXPECT_EQ(a.cpu, CpuId(1));
}

TEST_F(EngineTest, AccountsTimes) {
    engine.wake(a, 100);
    schedule(0, 150);
    engine.sleep(a, 400);
    schedule(0, 450);
    engine.switched_out(a);
    const auto t = engine.run_times(a, 1000);
    EXPECT_EQ(t.time[static_cast<int>(RunState::offline)], 100);
    EXPECT_EQ(t.time[static_cast<int>(RunState::runnable)], 50);
    EXPECT_EQ(t.time[static_cast<int>(RunState::running)], 300);
    EXPECT_EQ(t.time[static_cast<int>(RunState::blocked)], 550);
    EXPECT_EQ(engine.idle_time(CpuId(0), 1000), 150 + 550);
    EXPECT_FALSE(a.running);
    engine.remove_unit(a, 1000);
}

TEST(CpuMask, Windows) {
    const u64 words[2] = {u64{1} << 63, 5};
    const CpuMask m{words, 2};
    EXPECT_TRUE(m.test(CpuId(63)));
    EXPECT_TRUE(m.test(CpuId(66)));
    EXPECT_FALSE(m.test(CpuId(65)));
    EXPECT_FALSE(m.test(CpuId(1000)));
    EXPECT_EQ(m.window(60), u64{0b1011000});
    EXPECT_EQ(m.window(64), 5u);
    EXPECT_EQ(m.window(100), 0u);
    EXPECT_EQ(CpuMask{}.window(7), ~u64{0});
}

TEST(Policies, AreFoundByName) {
    EXPECT_EQ(find_policy("round-robin"), nullptr);  // the tests' own
    EXPECT_EQ(find_policy("no-such"), nullptr);
    EXPECT_EQ(find_policy(default_policy().name), &default_policy());
    for (const char* name : {"credit2", "rtds", "null", "arinc653"}) {
        const Policy* p = find_policy(name);
        ASSERT_NE(p, nullptr) << name;
        EXPECT_EQ(p->name, name);
        EXPECT_EQ(find_policy(p->abi_id), p);
    }
    EXPECT_EQ(find_policy(u32{0}), nullptr);
}

}  // namespace
}  // namespace domus::sched
