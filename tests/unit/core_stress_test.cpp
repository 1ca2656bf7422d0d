// SPDX-License-Identifier: GPL-2.0-or-later
// Real threads as CPUs: what must hold whatever they do to each other.
#include <chrono>
#include <random>
#include <thread>

#include "core/sched_op.hpp"
#include "core_fixture.hpp"

namespace domus {
namespace {

class CoreStress : public CoreTest {
  protected:
    // Runs f(cpu) on a thread for each CPU.
    template <class F>
    void on_all_cpus(F f) {
        std::vector<std::thread> threads;
        for (u32 cpu = 0; cpu < kCpus; cpu++)
            threads.emplace_back([this, f, cpu] {
                machine.set_cpu(CpuId(cpu));
                f(cpu);
            });
        for (auto& t : threads) t.join();
    }
    void exit_here() {
        for (u32 work = port::take_work(); work != 0; work = port::take_work())
            upcall::run_work(work, machine.now);
    }
};

TEST_F(CoreStress, ChannelsStayPaired) {
    constexpr u16 kDomains = 3;
    Domain* d[kDomains];
    for (u16 i = 0; i < kDomains; i++) d[i] = &make_domain(i, 2);
    on_all_cpus([&](u32 cpu) {
        std::mt19937 random(cpu + 1);
        for (int step = 0; step < 400000; step++) {
            Domain& mine = *d[random() % kDomains];
            Domain& other = *d[random() % kDomains];
            const EvtPort p(random() % 10);
            if (random() % 1000 == 0) port::relax();
            switch (random() % 6) {
                case 0:
                    if (mine.events.active < 10) static_cast<void>(core::alloc_unbound(mine, other.id));
                    break;
                case 1:
                    if (mine.events.active < 10) static_cast<void>(core::bind_interdomain(mine, other.id, p));
                    break;
                case 2: static_cast<void>(core::close_port(mine, p)); break;
                case 3: static_cast<void>(core::bind_virq(mine, random() % 4, VcpuId(0))); break;
                default: static_cast<void>(core::send_event(mine, p)); break;
            }
        }
    });
    for (Domain* x : d) {
        u32 used = 0;
        for (u32 p = 1; p < 4096; p++) {
            const evtchn_status_t s = *core::port_status(*x, EvtPort(p));
            used += s.status != EVTCHNSTAT_closed;
            if (s.status != EVTCHNSTAT_interdomain) continue;
            const evtchn_status_t back =
                *core::port_status(*d[s.u.interdomain.dom], EvtPort(s.u.interdomain.port));
            ASSERT_EQ(back.status, u32{EVTCHNSTAT_interdomain});
            EXPECT_EQ(back.u.interdomain.dom, x->id.v);
            EXPECT_EQ(back.u.interdomain.port, p);
        }
        EXPECT_EQ(x->events.active, used);
        for (u32 virq = 0; virq < 4; virq++) {
            const u32 p = core::virq_is_per_vcpu(virq) ? vcpu(*x, 0).virq_port[virq].load()
                                                       : x->events.global_virq[virq].load();
            if (p == 0) continue;
            EXPECT_EQ(core::port_status(*x, EvtPort(p))->status, u32{EVTCHNSTAT_virq});
        }
    }
}

// A vCPU that does nothing but block, on CPU 1, and a sender on CPU 0: no event may leave it asleep.
TEST_F(CoreStress, NoWakeUpIsLost) {
    Domain& d = make_domain(1, 1);
    Vcpu& v = vcpu(d, 0);
    const u64 only_cpu1[] = {2};
    ASSERT_TRUE(core::scheduler().set_affinity(v.sched, {only_cpu1, 1}, {}, 0));
    ASSERT_TRUE(core::vcpu_initialise(d, VcpuId(0), nullptr));
    ASSERT_TRUE(core::vcpu_up(d, VcpuId(0)));
    core::unpause_domain(d);
    const EvtPort port = *core::bind_ipi(d, VcpuId(0));
    std::atomic<u32> taken{0};
    std::atomic<bool> stop{false};
    u32 sent = 0;
    bool stuck = false;
    on_all_cpus([&](u32 cpu) {
        if (cpu == 0) {
            for (; sent < 5000 && !stuck; sent++) {
                static_cast<void>(core::send_event(d, port));
                const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
                while (taken.load() == sent && !stuck) {
                    exit_here();
                    stuck = std::chrono::steady_clock::now() > limit;
                    port::relax();
                }
            }
            stop = true;
            return;
        }
        while (!stop) {
            exit_here();
            if (port::current_vcpu() == &v) {
                // The guest's order: upcall flag, selector, pending bits.
                std::atomic_ref(v.info->evtchn_upcall_pending).store(0);
                std::atomic_ref(v.info->evtchn_pending_sel).store(0);
                if (std::atomic_ref(d.shared->evtchn_pending[0]).exchange(0) != 0) {
                    taken.fetch_add(1);
                    port::relax();  // the next event comes just before the block
                }
                core::vcpu_block(v);
            }
            port::relax();
        }
    });
    EXPECT_FALSE(stuck) << "after " << taken << " of " << sent << " events";
    ASSERT_TRUE(core::scheduler().set_affinity(v.sched, {}, {}, 0));
}

// One CPU makes and destroys domains while the other looks them up without locks.
TEST_F(CoreStress, ReadersNeverSeeAFreedDomain) {
    std::atomic<bool> stop{false};
    constexpr u32 kDomains = 200, kSeen = 100;
    std::atomic<u32> seen{0}, wrong{0};
    u32 made = 0;
    on_all_cpus([&](u32 cpu) {
        if (cpu == 1) {
            while (!stop) {
                for (u16 id = 1; id < 4; id++)
                    if (Domain* d = core::find_domain(DomId(id))) {
                        seen++;
                        port::relax();  // it goes away now, if it can
                        if (d->id != DomId(id) || d->max_vcpus != 1) wrong++;
                    }
                for (Domain* d = core::next_domain(DomId(0)); d != nullptr; d = core::next_domain(d->id + 1))
                    if (d->max_vcpus != 1) wrong++;
                exit_here();
                port::relax();
            }
            return;
        }
        std::mt19937 random(5);
        // On a busy computer either thread may stand still for long: what counts is that they meet often.
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(180);
        while ((made < kDomains || seen < kSeen) && std::chrono::steady_clock::now() < limit) {
            const DomId id(static_cast<u16>(1 + random() % 3));
            Domain* d = core::find_domain(id);
            if (d == nullptr) {
                made += core::create_domain(id, {.max_vcpus = 1}).has_value();
            } else if (d->dying.load() == Dying::no) {
                while (!core::destroy_domain(*d)) {}
            }
            exit_here();
            if (random() % 4 == 0) port::relax();
        }
        stop = true;
    });
    quiesce();  // one that was destroyed last may still be in the list
    EXPECT_EQ(wrong, 0u);
    EXPECT_GE(seen, kSeen);
    EXPECT_GE(made, kDomains);
}

}  // namespace
}  // namespace domus
