// SPDX-License-Identifier: GPL-2.0-or-later
// Timers against a multimap.
#include "core/timer.hpp"

#include <map>
#include <random>
#include <vector>

#include "core_fixture.hpp"

namespace domus {
namespace {

class Timers : public CoreTest {};

struct Log {
    std::vector<core::Timer*> fired;
};
void note(core::Timer& t, Nanos) { static_cast<Log*>(t.arg)->fired.push_back(&t); }

TEST_F(Timers, BehavesAsASortedMap) {
    std::mt19937 random(7);
    Log log;
    std::vector<std::unique_ptr<core::Timer>> timers;
    for (int i = 0; i < 200; i++) timers.push_back(std::make_unique<core::Timer>(note, &log));
    std::map<core::Timer*, std::pair<Nanos, u32>> model;

    for (int step = 0; step < 20000; step++) {
        core::Timer& t = *timers[random() % timers.size()];
        const CpuId cpu(random() % kCpus);
        switch (random() % 4) {
            case 0:
            case 1: {
                const Nanos when = machine.now + static_cast<Nanos>(random() % 1000);
                core::set_timer(t, cpu, when);
                model[&t] = {when, cpu.v};
                break;
            }
            case 2:
                core::cancel_timer(t);
                model.erase(&t);
                break;
            case 3:
                core::migrate_timer(t, cpu);
                if (auto it = model.find(&t); it != model.end()) it->second.second = cpu.v;
                break;
        }
        if (step % 7 != 0) continue;
        machine.now += static_cast<Nanos>(random() % 60);
        for (u32 c = 0; c < kCpus; c++) {
            machine.set_cpu(CpuId(c));
            log.fired.clear();
            core::run_timers(machine.now);
            Nanos next = port::kNever;
            std::map<core::Timer*, Nanos> due;
            for (auto it = model.begin(); it != model.end();) {
                const auto [when, on] = it->second;
                if (on == c && when <= machine.now) {
                    due[it->first] = when;
                    it = model.erase(it);
                    continue;
                }
                if (on == c && when < next) next = when;
                ++it;
            }
            ASSERT_EQ(log.fired.size(), due.size());
            Nanos last = 0;
            for (core::Timer* f : log.fired) {
                ASSERT_TRUE(due.contains(f));
                ASSERT_GE(due[f], last);
                last = due[f];
            }
            ASSERT_EQ(machine.deadline[c], next);
        }
        machine.set_cpu(CpuId(0));
    }
    for (auto& t : timers) core::cancel_timer_sync(*t);
}

TEST_F(Timers, TellsAnotherCpuOnlyWhenItsHeadChanges) {
    core::Timer a(note, nullptr), b(note, nullptr);
    core::set_timer(a, CpuId(1), 1000);
    EXPECT_EQ(machine.work[1].exchange(0), static_cast<u32>(port::Work::timer));
    core::set_timer(b, CpuId(1), 2000);
    EXPECT_EQ(machine.work[1], 0u);
    core::cancel_timer(a);
    core::cancel_timer(b);
}

TEST_F(Timers, MayBeSetAgainByItsHandler) {
    static int count;
    count = 0;
    core::Timer t(
        [](core::Timer& self, Nanos now) {
            if (++count < 3) core::set_timer(self, CpuId(0), now + 10);
        },
        nullptr);
    core::set_timer(t, CpuId(0), 5);
    EXPECT_EQ(machine.deadline[0], 5);
    for (Nanos now : {4, 5, 14, 15, 25, 100}) core::run_timers(now);
    EXPECT_EQ(count, 3);
    EXPECT_EQ(machine.deadline[0], port::kNever);
}

}  // namespace
}  // namespace domus
