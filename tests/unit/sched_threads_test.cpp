// SPDX-License-Identifier: GPL-2.0-or-later
// The engine with threads for CPUs: no unit is on two CPUs, none is lost, and what one CPU saves is what the
// next one loads. Run under ThreadSanitizer, the unit's plain "registers" also prove the ordering.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "fakes/round_robin.hpp"
#include "sched/credit2.hpp"
#include "sched/rtds.hpp"
#include "sched_simulation.hpp"

namespace domus::sched {
namespace {

struct Guest {
    Unit unit;
    std::atomic<int> on{-1};
    u64 saved = 0;  // "registers": plain memory, owned by whoever runs the unit
    std::atomic<u64> progress{0};
    u64 masks[4] = {};  // of which two are in use
};

Nanos clock_now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

class Threads : public testing::TestWithParam<const Policy*> {};

TEST_P(Threads, SwitchRace) {
    constexpr u32 kCpus = 4;  // in two queues
    constexpr u32 kUnits = 7;
    Bench bench(kCpus, *GetParam(), 2);
    Engine& engine = bench.engine;
    bench.engine.params().ratelimit = 0;
    std::vector<std::unique_ptr<Guest>> guests;
    std::map<const Unit*, Guest*> of;
    for (u32 i = 0; i < kUnits; i++) {
        Guest& g = *guests.emplace_back(std::make_unique<Guest>());
        engine.add_unit(g.unit, clock_now());
        of[&g.unit] = &g;
    }

    enum Phase { churn, settle, stop };
    std::atomic<int> phase{churn};
    std::atomic<bool> bad{false};
    auto cpu_loop = [&](u32 id) {
        bench.machine.set_cpu(CpuId(id));
        std::mt19937_64 random(id);
        Guest* here = nullptr;
        u64 registers = 0;
        Nanos deadline = port::kNever;
        while (phase != stop) {
            const Nanos now = clock_now();
            if (port::take_work() != 0 || now >= deadline) {
                const Decision d = engine.schedule(CpuId(id), now);
                deadline = d.deadline;
                Unit* was = here == nullptr ? nullptr : &here->unit;
                if (d.next != was) {
                    if (here != nullptr) {
                        here->saved = registers;
                        if (here->on.exchange(-1) != static_cast<int>(id)) bad = true;
                        engine.switched_out(*was);
                    }
                    here = d.next == nullptr ? nullptr : of.at(d.next);
                    if (here != nullptr) {
                        if (here->on.exchange(static_cast<int>(id)) != -1) bad = true;
                        registers = here->saved;
                        if (registers != here->progress) bad = true;
                    }
                }
            }
            if (here != nullptr) {
                registers++;
                here->progress.store(registers, std::memory_order_relaxed);
            }
            if (phase == churn) {
                Guest& other = *guests[random() % kUnits];
                switch (random() % 8) {
                    case 0:
                        if (here != nullptr) engine.sleep(here->unit, now);
                        break;
                    case 1: engine.sleep(other.unit, now); break;
                    case 2:
                        if (here != nullptr) engine.yield(here->unit);
                        break;
                    case 3:
                        static_cast<void>(
                            engine.migrate(other.unit, CpuId(static_cast<u32>(random() % kCpus)), now));
                        break;
                    default: engine.wake(other.unit, now);
                }
            } else {
                std::this_thread::yield();
            }
        }
        if (here != nullptr) here->saved = registers;
    };
    constexpr CpuId comes_and_goes{3};
    std::vector<Bench::Block> storage(engine.pool_size(rtds()) / sizeof(Bench::Block) + 1);
    Pool& other_pool =
        **engine.make_pool({storage.data()->bytes, storage.size() * sizeof(Bench::Block)}, rtds());
    auto changes_affinity = [&] {
        bench.machine.set_cpu(CpuId(0));
        std::mt19937_64 random(99);
        u32 side = 0;
        while (phase == churn) {
            for (auto& g : guests) {
                u64* words = &g->masks[side * 2];
                words[0] = (random() & 0xf) | 1u << random() % kCpus;
                words[1] = random();
                EXPECT_TRUE(
                    engine.set_affinity(g->unit, {&words[0], 1}, {&words[1], 1}, clock_now()).has_value());
            }
            side ^= 1;
            // A CPU comes and goes.
            engine.remove_cpu(comes_and_goes, clock_now());
            while (!engine.cpu_left(comes_and_goes)) std::this_thread::yield();
            engine.add_cpu(random() % 2 == 0 ? other_pool : engine.first_pool(), comes_and_goes);
            if (engine.pool_of(comes_and_goes) == &other_pool) {
                engine.remove_cpu(comes_and_goes, clock_now());
                while (!engine.cpu_left(comes_and_goes)) std::this_thread::yield();
                engine.add_cpu(engine.first_pool(), comes_and_goes);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    };

    std::vector<std::thread> threads;
    for (u32 i = 0; i < kCpus; i++) threads.emplace_back(cpu_loop, i);
    std::thread administrator(changes_affinity);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    phase = settle;
    administrator.join();

    // Now everybody is woken once, and must run.
    bench.machine.set_cpu(CpuId(0));
    std::vector<u64> before;
    for (auto& g : guests) {
        ASSERT_TRUE(engine.set_affinity(g->unit, {}, {}, clock_now()).has_value());
        before.push_back(g->progress);
        engine.wake(g->unit, clock_now());
    }
    u32 missing = kUnits;
    for (int wait = 0; wait < 1000 && missing != 0; wait++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        missing = 0;
        for (u32 i = 0; i < kUnits; i++) missing += guests[i]->progress == before[i];
    }
    EXPECT_EQ(missing, 0u);
    phase = stop;
    for (auto& t : threads) t.join();
    EXPECT_FALSE(bad);
}
INSTANTIATE_TEST_SUITE_P(Policies, Threads, testing::Values(&credit2(), &round_robin(), &rtds()));

}  // namespace
}  // namespace domus::sched
