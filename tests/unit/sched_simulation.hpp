// SPDX-License-Identifier: GPL-2.0-or-later
// A machine in virtual time under the scheduling engine: CPUs that take a while to notice what they are told
// and to switch, and units that compute and sleep. Checks after each step what must always be true.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "fakes/machine.hpp"
#include "sched/engine.hpp"

namespace domus::sched {

// Engine with its storage, over a fake machine.
struct Bench {
    fakes::Machine machine;
    struct alignas(64) Block {
        unsigned char bytes[64];
    };
    std::vector<Block> storage;
    Engine engine;

    Bench(u32 cpus, const Policy& policy, u32 cpus_per_queue = 0)
        : machine(kMiB, cpus),
          storage(Engine::storage_size(cpus, policy, cpus_per_queue) / sizeof(Block) + 1) {
        EXPECT_TRUE(
            engine.init(cpus, policy, {storage.data()->bytes, storage.size() * sizeof(Block)}, cpus_per_queue)
                .has_value());
    }
};

class Simulation : public Bench {
  public:
    struct Task {
        Unit unit;
        std::function<Nanos()> burst;  // ns to compute before it sleeps; null: for ever
        std::function<Nanos()> pause;  // ns to sleep; null: nobody wakes it
        Nanos left = 0;                // of the burst
        Nanos ran = 0;                 // in all
        Nanos woken = 0;               // when it last woke and waits for a CPU; -1: it does not
        Nanos worst_latency = 0;       // from wake-up to running
        u64 masks[2] = {};
        // With a reservation: when a burst must be over, and how often it was not.
        Nanos period = 0, due = port::kNever;
        u32 missed = 0;
        bool stopped = false;
    };
    struct CpuModel {
        Unit* on = nullptr;         // whose registers are loaded
        Nanos since = 0;            // it progressed until here
        Nanos look = port::kNever;  // when it will call schedule()
        Unit* saving = nullptr;
        Nanos saved = port::kNever;
    };

    Simulation(u32 cpus, const Policy& policy, u64 seed = 1, u32 cpus_per_queue = 0)
        : Bench(cpus, policy, cpus_per_queue), cpu(cpus), random(seed) {}
    ~Simulation() {
        for (auto& t : tasks) {
            if (t->unit.queue != nullptr && !t->unit.running) {
                engine.sleep(t->unit, now);
                engine.remove_unit(t->unit, now);
            }
        }
    }

    Task& add(Share share = {}, std::function<Nanos()> burst = {}, std::function<Nanos()> pause = {}) {
        return add_to(engine.first_pool(), nullptr, share, std::move(burst), std::move(pause));
    }
    Task& add_to(Pool& pool, Group* group, Share share = {}, std::function<Nanos()> burst = {},
                 std::function<Nanos()> pause = {}) {
        Task& t = *tasks.emplace_back(std::make_unique<Task>());
        t.burst = std::move(burst);
        t.pause = std::move(pause);
        t.unit.group = group;
        engine.add_unit(t.unit, pool, now);
        by_unit[&t.unit] = &t;
        EXPECT_TRUE(share.weight == 256 || engine.set_share(t.unit, share, now).has_value());
        wake(t);
        return t;
    }
    // Computes `burst` in each period, of which it must have done all before the next one begins.
    Task& add_periodic(Reservation r, Nanos burst) {
        Task& t = *tasks.emplace_back(std::make_unique<Task>());
        t.period = r.period;
        t.burst = [burst] { return burst; };
        t.pause = [this, &t] {
            if (now > t.due) t.missed++;
            return std::max<Nanos>(t.due - now, 1);
        };
        engine.add_unit(t.unit, now);
        by_unit[&t.unit] = &t;
        EXPECT_TRUE(engine.set_reservation(t.unit, r, now).has_value());
        wake(t);
        return t;
    }
    void pin(Task& t, u64 hard, u64 soft = ~u64{0}) {
        t.masks[0] = hard;
        t.masks[1] = soft;
        EXPECT_TRUE(engine.set_affinity(t.unit, {&t.masks[0], 1}, {&t.masks[1], 1}, now).has_value());
        notice();
    }
    // Neither computes nor is woken, until start().
    void stop(Task& t) {
        t.stopped = true;
        engine.sleep(t.unit, now, RunState::offline);
        notice();
    }
    void start(Task& t) {
        t.stopped = false;
        std::erase_if(wakes, [&t](const auto& w) { return w.second == &t; });
        wake(t);
    }
    // After calls to the engine.
    void look_at_notes() { notice(); }
    std::function<Nanos()> between(Nanos low, Nanos high) {
        return [=, this] { return low + static_cast<Nanos>(random() % static_cast<u64>(high - low + 1)); };
    }

    void run(Nanos duration) {
        const Nanos end = now + duration;
        while (step(end)) {
            if (testing::Test::HasFatalFailure()) return;
        }
        for (u32 i = 0; i < cpu.size(); i++) progress(i);
    }
    void start_measuring() {
        for (auto& t : tasks) t->ran = 0, t->worst_latency = 0;
        looks = 0;
    }

    Nanos latency = 2 * kMicrosecond;    // from being told to looking
    Nanos save_time = 1 * kMicrosecond;  // from schedule() to switched_out()
    u32 check_every = 1;                 // steps
    bool idle_means_free = true;         // the policy never lets a CPU idle that a unit waits for
    Nanos now = 0;
    u64 looks = 0;
    u64 steps = 0;
    std::vector<CpuModel> cpu;
    std::vector<std::unique_ptr<Task>> tasks;
    std::mt19937_64 random;

  private:
    void wake(Task& t) {
        if (t.burst) t.left = t.burst();
        if (t.period != 0) t.due = now + t.period;
        t.woken = now;
        engine.wake(t.unit, now);
        notice();
    }
    // Turns the notes that the engine left for CPUs into coming looks.
    void notice() {
        for (u32 i = 0; i < cpu.size(); i++)
            if (machine.work[i].exchange(0) != 0) cpu[i].look = std::min(cpu[i].look, now + latency);
    }
    void progress(u32 i) {
        CpuModel& c = cpu[i];
        if (c.on != nullptr) {
            Task& t = *by_unit.at(c.on);
            t.ran += now - c.since;
            if (t.burst) t.left -= now - c.since;
        }
        c.since = now;
    }
    void look(u32 i) {
        CpuModel& c = cpu[i];
        looks++;
        progress(i);
        machine.set_cpu(CpuId(i));
        Decision d = engine.schedule(CpuId(i), now);
        c.look = std::max(d.deadline, now + 1);
        if (d.next != c.on) {
            if (c.on != nullptr) {
                c.saving = c.on;
                c.saved = now + save_time;
            }
            c.on = d.next;
            if (d.next != nullptr) {
                Task& t = *by_unit.at(d.next);
                if (t.woken >= 0) t.worst_latency = std::max(t.worst_latency, now - t.woken);
                t.woken = -1;
            }
        }
    }
    bool step(Nanos end) {
        // The next thing to happen.
        Nanos next = end;
        for (u32 i = 0; i < cpu.size(); i++) {
            const CpuModel& c = cpu[i];
            if (c.saving != nullptr) {
                next = std::min(next, c.saved);
                continue;
            }
            next = std::min(next, c.look);
            if (c.on != nullptr && by_unit.at(c.on)->burst)
                next = std::min(next, c.since + std::max<Nanos>(by_unit.at(c.on)->left, 0));
        }
        if (!wakes.empty()) next = std::min(next, wakes.begin()->first);
        now = std::max(now, next);
        if (now >= end) return false;

        while (!wakes.empty() && wakes.begin()->first <= now) {
            Task* t = wakes.begin()->second;
            wakes.erase(wakes.begin());
            if (!t->stopped) wake(*t);
        }
        for (u32 i = 0; i < cpu.size(); i++) {
            CpuModel& c = cpu[i];
            if (c.saving != nullptr && c.saved <= now) {
                Unit* u = std::exchange(c.saving, nullptr);
                c.saved = port::kNever;
                engine.switched_out(*u);
                notice();
            }
            if (c.saving != nullptr) continue;  // a CPU looks again only when it has switched
            if (c.on != nullptr) {
                progress(i);
                Task& t = *by_unit.at(c.on);
                if (t.burst && t.left <= 0 && t.unit.runnable) {
                    machine.set_cpu(CpuId(i));
                    engine.sleep(t.unit, now);
                    if (t.pause) wakes.emplace(now + std::max<Nanos>(t.pause(), 1), &t);
                    t.left = port::kNever / 2;
                    c.look = now;
                    notice();
                }
            }
            if (c.look <= now) {
                look(i);
                notice();
            }
        }
        if (++steps % check_every == 0) check();
        return true;
    }

    void check() {
        std::set<const Unit*> on;
        for (u32 i = 0; i < cpu.size(); i++) {
            const CpuModel& c = cpu[i];
            ASSERT_EQ(engine.current(CpuId(i)), c.on);
            for (const Unit* u : {c.on, c.saving}) {
                if (u == nullptr) continue;
                ASSERT_TRUE(on.insert(u).second) << "a unit is on two CPUs";
                ASSERT_TRUE(u->running);
                ASSERT_FALSE(u->waiting());
            }
            if (c.on != nullptr && c.look == port::kNever) {
                ASSERT_TRUE(c.on->runnable) << "a sleeper was left on its CPU";
            }
        }
        for (const auto& t : tasks) {
            const Unit& u = t->unit;
            ASSERT_EQ(u.running.load(), on.contains(&u));
            if (!u.runnable || u.running) {
                ASSERT_FALSE(u.waiting());
                continue;
            }
            ASSERT_TRUE(u.waiting()) << "a runnable unit is lost";
            ASSERT_TRUE(u.attached);
            const Queue& q = *u.queue.load();
            if (u.parked && q.members() == 0) continue;
            if (u.parked) {
                // Somebody looks at the time of its release, or before.
                Nanos first = port::kNever;
                for (u32 i = 0; i < q.cpu_count; i++)
                    if ((q.members() >> i & 1) != 0) {
                        const CpuModel& c = cpu[q.first_cpu + i];
                        first = std::min(first, c.saving != nullptr ? c.saved : c.look);
                    }
                ASSERT_LE(first, u.release + 2 * (latency + save_time))
                    << "nobody will release a parked unit: watcher " << q.watcher << " at " << q.watched
                    << " of " << q.members();
                continue;
            }
            if (!idle_means_free) continue;
            // Work conservation: no CPU that may run it is idle without being about to look, and at least one
            // of them will look some time.
            bool looks_some_time = false, idle_unaware = false;
            for (u32 i = 0; i < cpu.size(); i++) {
                if (!u.hard.test(CpuId(i)) || engine.pool_of(CpuId(i)) != q.pool) continue;
                if (cpu[i].look != port::kNever || cpu[i].saving != nullptr) looks_some_time = true;
                idle_unaware |=
                    cpu[i].on == nullptr && cpu[i].look == port::kNever && cpu[i].saving == nullptr;
            }
            ASSERT_TRUE(looks_some_time) << "nobody will ever look at a waiting unit";
            // The told CPU may be another one than the idle one, for a moment.
            if (!idle_unaware) {
                continue;
            }
            bool someone_comes = false;
            for (u32 i = 0; i < cpu.size(); i++)
                someone_comes |= cpu[i].on == nullptr && cpu[i].look <= now + latency;
            ASSERT_TRUE(someone_comes) << "a unit waits while a CPU that may run it is idle";
        }
    }

    std::map<const Unit*, Task*> by_unit;
    std::multimap<Nanos, Task*> wakes;
};

}  // namespace domus::sched
