// SPDX-License-Identifier: GPL-2.0-or-later
// FIFO event channels against a guest that takes events as the public header has it, then against a model,
// threads, and a guest that writes what it likes.
#include "core/event_fifo.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <random>
#include <thread>

#include "core/pages.hpp"
#include "core_fixture.hpp"
#include "mm/frame_refs.hpp"

namespace domus {
namespace {

using core::bind_ipi;
using core::send_event;

constexpr u32 kPending = 1u << EVTCHN_FIFO_PENDING, kMasked = 1u << EVTCHN_FIFO_MASKED,
              kLinked = 1u << EVTCHN_FIFO_LINKED;

// A guest's side: its pages, and one queue head a priority for each vCPU.
class FifoGuest {
  public:
    FifoGuest(Domain& d, u32 array_pages, u32 vcpus) : d_(d), heads_(vcpus) {
        for (u32 v = 0; v < vcpus; v++) {
            control_.push_back(page());
            EXPECT_TRUE(core::init_fifo_control(d, VcpuId(v), control_[v], offset(v)));
        }
        for (u32 i = 0; i < array_pages; i++) grow();
    }
    static u32 offset(u32 vcpu) { return 8 * (vcpu % 400); }
    Mfn page() { return *core::allocate_pages(d_, 0, {.scrub = true}); }
    void grow() {
        array_.push_back(page());
        EXPECT_TRUE(core::expand_fifo_array(d_, array_.back()));
    }
    u32& word(u32 port) { return port::frame_ptr<u32>(array_.at(port / 1024))[port % 1024]; }
    evtchn_fifo_control_block_t& block(u32 vcpu) {
        return *reinterpret_cast<evtchn_fifo_control_block_t*>(port::frame_ptr<u8>(control_.at(vcpu)) +
                                                               offset(vcpu));
    }
    void mask(u32 port) { std::atomic_ref(word(port)).fetch_or(kMasked); }
    // False: it is pending, and the hypervisor has to be asked.
    bool clear_mask(u32 port) {
        const std::atomic_ref w(word(port));
        u32 old = w.load();
        do {
            if ((old & kPending) != 0) return false;
            old &= ~(1u << EVTCHN_FIFO_BUSY);
        } while (!w.compare_exchange_weak(old, old & ~kMasked));
        return true;
    }

    // Takes what there is, the most urgent first; calls f(port) for each event.
    template <class F>
    u32 take(u32 vcpu, F f) {
        Vcpu& v = *d_.vcpu(VcpuId(vcpu));
        std::atomic_ref(v.info->evtchn_upcall_pending).store(0);
        evtchn_fifo_control_block_t& b = block(vcpu);
        u32 taken = 0;
        u32 ready = std::atomic_ref(b.ready).exchange(0);
        while (ready != 0) {
            const u32 q = static_cast<u32>(__builtin_ctz(ready));
            u32& head = heads_[vcpu][q];
            const u32 port = head != 0 ? head : std::atomic_ref(b.head[q]).load();
            head = unlink(port);
            if (head == 0) ready &= ~(1u << q);
            const u32 w = std::atomic_ref(word(port)).load();
            if ((w & (kPending | kMasked)) == kPending) {
                std::atomic_ref(word(port)).fetch_and(~kPending);
                f(port);
                taken++;
            }
            ready |= std::atomic_ref(b.ready).exchange(0);
        }
        return taken;
    }
    std::vector<u32> take(u32 vcpu = 0) {
        std::vector<u32> ports;
        take(vcpu, [&](u32 p) { ports.push_back(p); });
        return ports;
    }

  private:
    u32 unlink(u32 port) {
        const std::atomic_ref w(word(port));
        u32 old = w.load();
        while (!w.compare_exchange_weak(old, old & ~(kLinked | u32{EVTCHN_FIFO_LINK_MASK}))) {}
        return old & EVTCHN_FIFO_LINK_MASK;
    }

    Domain& d_;
    std::vector<Mfn> control_, array_;
    std::vector<std::array<u32, 16>> heads_;
};

using Ports = std::vector<u32>;

class Fifo : public CoreTest {
  protected:
    static u64 refs(Mfn m) { return frame_of(m).refs.load() & kRefCount; }
    static u32 ipi(Domain& d, u32 v = 0) { return bind_ipi(d, VcpuId(v))->v; }
    static void send(Domain& d, u32 port) { EXPECT_TRUE(send_event(d, EvtPort(port))); }
    static bool upcall(Domain& d, u32 v = 0) { return vcpu(d, v).info->evtchn_upcall_pending != 0; }
};

TEST_F(Fifo, SetUpRules) {
    Domain& d = make_running(1);
    Domain& other = make_running(2);
    const Mfn m = *core::allocate_pages(d, 0), theirs = *core::allocate_pages(other, 0);
    EXPECT_ERROR(core::expand_fifo_array(d, m), opnotsupp);
    EXPECT_ERROR(core::init_fifo_control(d, VcpuId(2), m, 0), noent);
    EXPECT_ERROR(core::init_fifo_control(d, VcpuId(0), m, 4), inval);
    EXPECT_ERROR(core::init_fifo_control(d, VcpuId(0), m, 4096 - 64), inval) << "not all in the page";
    EXPECT_ERROR(core::init_fifo_control(d, VcpuId(0), m, ~0u & ~7u), inval);
    EXPECT_ERROR(core::init_fifo_control(d, VcpuId(0), theirs, 0), inval);
    EXPECT_ERROR(core::init_fifo_control(d, VcpuId(0), Mfn(~u64{0}), 0), inval);
    EXPECT_EQ(&d.events.layout(), &core::kTwoLevelEvents) << "refusals change nothing";
    EXPECT_EQ(refs(m), 1u);
    EXPECT_TRUE(core::init_fifo_control(d, VcpuId(0), m, 4096 - 72));
    EXPECT_ERROR(core::init_fifo_control(d, VcpuId(0), m, 0), inval) << "it has one";
    EXPECT_TRUE(core::init_fifo_control(d, VcpuId(1), m, 0)) << "two in one page";
    EXPECT_EQ(refs(m), 3u);
    EXPECT_ERROR(core::expand_fifo_array(d, theirs), inval);
    for (u32 i = 0; i < core::FifoEvents::kMaxPages; i++) ASSERT_TRUE(core::expand_fifo_array(d, m));
    EXPECT_ERROR(core::expand_fifo_array(d, m), nospc);
    destroy(d);
    EXPECT_EQ(refs(m), 0u);
}

TEST_F(Fifo, EventsComeInTheOrderOfTheirSending) {
    Domain& d = make_running(1);
    FifoGuest guest(d, 1, 2);
    const u32 a = ipi(d), b = ipi(d), c = ipi(d, 1);
    send(d, b), send(d, a), send(d, b), send(d, c);
    EXPECT_TRUE(upcall(d));
    EXPECT_TRUE(upcall(d, 1));
    EXPECT_EQ(guest.take(), (Ports{b, a}));
    EXPECT_EQ(guest.take(1), (Ports{c}));
    EXPECT_EQ(guest.take(), Ports());
    // The queue's old tail was taken off: what comes now starts it anew, itself as well.
    send(d, a), send(d, b);
    EXPECT_EQ(guest.take(), (Ports{a, b}));
    send(d, b);
    EXPECT_EQ(guest.take(), (Ports{b}));
    EXPECT_EQ(guest.word(b), 0u);
}

TEST_F(Fifo, UrgentOnesFirst) {
    Domain& d = make_running(1);
    const u32 a = ipi(d), b = ipi(d), c = ipi(d);
    EXPECT_ERROR(core::set_port_priority(d, EvtPort(a), 3), nosys) << "two levels know none";
    FifoGuest guest(d, 1, 1);
    EXPECT_ERROR(core::set_port_priority(d, EvtPort(a), 16), inval);
    EXPECT_ERROR(core::set_port_priority(d, EvtPort(0), 3), inval);
    EXPECT_ERROR(core::set_port_priority(d, EvtPort(c + 1), 3), inval);
    EXPECT_TRUE(core::set_port_priority(d, EvtPort(b), 15));
    EXPECT_TRUE(core::set_port_priority(d, EvtPort(c), 0));
    send(d, b), send(d, a), send(d, c);
    EXPECT_EQ(guest.take(), (Ports{c, a, b}));
    // Closed and opened again it is like any other.
    EXPECT_TRUE(core::close_port(d, EvtPort(c)));
    EXPECT_EQ(ipi(d), c);
    send(d, b), send(d, a), send(d, c);
    EXPECT_EQ(guest.take(), (Ports{a, c, b}));
}

TEST_F(Fifo, AMaskedPortIsLinkedWhenUnmasked) {
    Domain& d = make_running(1);
    FifoGuest guest(d, 1, 1);
    const u32 a = ipi(d);
    guest.mask(a);
    send(d, a);
    EXPECT_FALSE(upcall(d));
    EXPECT_EQ(guest.word(a), kPending | kMasked);
    EXPECT_TRUE(*core::port_pending(d, EvtPort(a)));
    EXPECT_FALSE(guest.clear_mask(a));
    EXPECT_TRUE(core::unmask_port(d, EvtPort(a)));
    EXPECT_TRUE(upcall(d));
    EXPECT_EQ(guest.take(), (Ports{a}));
    // Masked while it is in the queue: taken off without being handled, and linked anew.
    send(d, a);
    guest.mask(a);
    EXPECT_EQ(guest.take(), Ports());
    EXPECT_TRUE(core::unmask_port(d, EvtPort(a)));
    EXPECT_EQ(guest.take(), (Ports{a}));
    guest.mask(a);
    EXPECT_TRUE(guest.clear_mask(a));
    EXPECT_TRUE(core::unmask_port(d, EvtPort(a)));
    EXPECT_EQ(guest.take(), Ports());
}

TEST_F(Fifo, APortOnTheWayToAnotherQueueLosesNobody) {
    Domain& d = make_running(1);
    FifoGuest guest(d, 1, 2);
    const u32 a = ipi(d);
    const EvtPort b = *core::bind_virq(d, VIRQ_CONSOLE, VcpuId(0));
    const auto send_b = [&] { core::send_global_virq(d, VIRQ_CONSOLE); };
    send(d, a), send_b();
    EXPECT_EQ(guest.take(), (Ports{a, b.v}));
    // b was the tail of queue 7. Now it goes to another, and is linked there when a comes.
    EXPECT_TRUE(core::set_port_priority(d, b, 3));
    send_b(), send(d, a);
    EXPECT_EQ(guest.take(), (Ports{b.v, a}));
    // The same with the vCPU.
    EXPECT_TRUE(core::set_port_priority(d, b, EVTCHN_FIFO_PRIORITY_DEFAULT));
    send(d, a), send_b();
    EXPECT_EQ(guest.take(), (Ports{a, b.v}));
    EXPECT_TRUE(core::bind_port_to_vcpu(d, b, VcpuId(1)));
    send_b(), send(d, a);
    EXPECT_EQ(guest.take(1), (Ports{b.v}));
    EXPECT_EQ(guest.take(0), (Ports{a}));
    // Still linked when it is moved: it stays where it is this time.
    send_b();
    EXPECT_TRUE(core::bind_port_to_vcpu(d, b, VcpuId(0)));
    send_b();
    EXPECT_EQ(guest.take(0), Ports());
    EXPECT_EQ(guest.take(1), (Ports{b.v}));
}

TEST_F(Fifo, PendingBeforeThereIsAWord) {
    Domain& d = make_running(1);
    FifoGuest guest(d, 1, 1);
    for (u32 i = 1; i < 1024; i++) ASSERT_TRUE(core::alloc_unbound(d, DomId(9)));
    const u32 a = ipi(d), b = ipi(d), c = ipi(d);
    ASSERT_EQ(a, 1024u);
    send(d, b), send(d, c);
    EXPECT_FALSE(upcall(d));
    EXPECT_TRUE(*core::port_pending(d, EvtPort(b)));
    EXPECT_FALSE(*core::port_pending(d, EvtPort(a)));
    EXPECT_TRUE(core::unmask_port(d, EvtPort(b)));
    EXPECT_TRUE(core::close_port(d, EvtPort(c)));
    guest.grow();
    EXPECT_TRUE(upcall(d));
    EXPECT_EQ(guest.take(), (Ports{b}));
    send(d, a);
    EXPECT_EQ(guest.take(), (Ports{a}));
}

TEST_F(Fifo, WhatIsPendingInTwoLevelsComesAlong) {
    Domain& d = make_running(1);
    const u32 a = ipi(d), b = ipi(d), c = ipi(d);
    send(d, b), send(d, c);
    EXPECT_TRUE(core::close_port(d, EvtPort(c)));
    take_upcall(vcpu(d, 0));
    FifoGuest guest(d, 1, 1);
    EXPECT_EQ(guest.take(), (Ports{b}));
    EXPECT_EQ(guest.word(a), 0u);
    EXPECT_EQ(guest.word(c), 0u);
}

TEST_F(Fifo, ManyPorts) {
    Domain& d = make_running(1, 1, {.max_pages = 1024});
    FifoGuest guest(d, 8, 1);
    std::vector<u32> ports;
    for (u32 i = 1; i < 8 * 1024; i++) ports.push_back(ipi(d));
    EXPECT_EQ(ports.back(), 8 * 1024 - 1u) << "more than two levels have";
    std::mt19937 random(3);
    std::shuffle(ports.begin(), ports.end(), random);
    for (const u32 p : ports) send(d, p);
    EXPECT_EQ(guest.take(), ports);
    EXPECT_TRUE(core::port_status(d, EvtPort(EVTCHN_FIFO_NR_CHANNELS - 1)));
    EXPECT_ERROR(core::port_status(d, EvtPort(EVTCHN_FIFO_NR_CHANNELS)), inval);
}

TEST_F(Fifo, ResetGoesBackToTwoLevels) {
    Domain& d = make_running(1, 1, {.max_pages = 1024});
    for (int round = 0; round < 3; round++) {
        FifoGuest guest(d, 5, 1);
        u32 last = 0;
        while (last < 4500) last = ipi(d);
        send(d, 100), send(d, 4500);
        u32 next = 0;
        ASSERT_TRUE(core::reset_events(d, next));
        EXPECT_EQ(&d.events.layout(), &core::kTwoLevelEvents);
        EXPECT_EQ(d.events.active, 0u);
        quiesce();
        take_upcall(vcpu(d, 0));
        const u32 p = ipi(d);
        EXPECT_EQ(p, 1u);
        send(d, p);
        EXPECT_TRUE(pending(d, EvtPort(p))) << "in the shared info page";
        EXPECT_TRUE(core::close_port(d, EvtPort(p)));
        take_upcall(vcpu(d, 0));
    }
    u64 held = 0;
    core::for_each_page(d.pages, [&](Mfn m) { held += refs(m) != 1; });
    EXPECT_EQ(held, 0u) << "all pages are the guest's alone again";
}

TEST_F(Fifo, HighPortsOfARacingResetAreNoDanger) {
    Domain& d = make_running(1, 1, {.max_pages = 1024});
    FifoGuest guest(d, 5, 1);
    u32 last = 0;
    while (last < 4500) last = ipi(d);
    // A reset that another vCPU has overtaken: two levels with such a port.
    core::leave_fifo(d);
    EXPECT_TRUE(send_event(d, EvtPort(4500)));
    EXPECT_TRUE(core::unmask_port(d, EvtPort(4500)));
    EXPECT_FALSE(*core::port_pending(d, EvtPort(4500)));
    EXPECT_TRUE(core::close_port(d, EvtPort(4500)));
}

TEST_F(Fifo, NoMemoryLeavesTwoLevels) {
    Domain& d = make_running(1);
    const Mfn m = *core::allocate_pages(d, 0);
    std::vector<Mfn> eaten;
    for (auto f = alloc_frames(0); f; f = alloc_frames(0)) eaten.push_back(*f);
    int failed = 0;
    while (!eaten.empty()) {
        const auto r = core::init_fifo_control(d, VcpuId(0), m, 0);
        if (r) break;
        EXPECT_EQ(r.error(), Error::nomem);
        EXPECT_EQ(refs(m), 1u);
        EXPECT_EQ(&d.events.layout(), &core::kTwoLevelEvents);
        failed++;
        free_frames(eaten.back(), 0);
        eaten.pop_back();
    }
    EXPECT_GT(failed, 0);
    for (const Mfn f : eaten) free_frames(f, 0);
    EXPECT_EQ(&d.events.layout(), &core::kFifoEvents);
}

// A guest that writes anything anywhere, at any time.
TEST_F(Fifo, AHostileGuestHarmsItself) {
    Domain& d = make_running(1);
    Domain& friendly = make_running(2);
    FifoGuest guest(d, 2, 2);
    std::mt19937 random(5);
    std::vector<u32> ports;
    for (int i = 0; i < 40; i++) ports.push_back(ipi(d, random() % 2));
    const EvtPort outside = *core::alloc_unbound(d, friendly.id);
    const EvtPort remote = *core::bind_interdomain(friendly, d.id, outside);
    ports.push_back(outside.v);
    for (int step = 0; step < 200000; step++) {
        const u32 p = ports[random() % ports.size()];
        switch (random() % 8) {
            case 0: guest.word(p) = static_cast<u32>(random()); break;
            case 1: guest.block(random() % 2).ready = static_cast<u32>(random()); break;
            case 2: guest.block(random() % 2).head[random() % 16] = static_cast<u32>(random()); break;
            case 3: static_cast<void>(core::set_port_priority(d, EvtPort(p), random() % 17)); break;
            case 4: static_cast<void>(core::unmask_port(d, EvtPort(p))); break;
            case 5: ASSERT_TRUE(send_event(friendly, remote)); break;
            default: ASSERT_TRUE(send_event(d, EvtPort(p))); break;
        }
    }
}

// The model: what is linked where, in which order.
TEST_F(Fifo, RandomOperationsAgainstAModel) {
    constexpr u32 kPorts = 24, kVcpus = 3;
    Domain& d = make_running(1, kVcpus);
    Domain& sender = make_running(2, 1);
    FifoGuest guest(d, 1, kVcpus);
    struct Model {
        bool pending = false, masked = false, linked = false;
        u32 vcpu = 0, priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    };
    std::map<u32, Model> model;
    std::map<u32, EvtPort> other_end;
    std::deque<u32> queues[kVcpus][16];
    for (u32 i = 0; i < kPorts; i++) {
        const EvtPort p = *core::alloc_unbound(d, sender.id);
        other_end[p.v] = *core::bind_interdomain(sender, d.id, p);
        model[p.v] = {};
    }
    const auto link = [&](u32 p) {
        Model& m = model[p];
        if (!m.pending || m.masked || m.linked) return;
        m.linked = true;
        queues[m.vcpu][m.priority].push_back(p);
    };
    std::mt19937 random(17);
    for (int step = 0; step < 100000; step++) {
        const u32 p = 1 + random() % kPorts;
        Model& m = model[p];
        switch (random() % 12) {
            case 0: {
                const u32 priority = random() % 16;
                ASSERT_TRUE(core::set_port_priority(d, EvtPort(p), priority));
                m.priority = priority;
                break;
            }
            case 1: {
                const u32 v = random() % kVcpus;
                ASSERT_TRUE(core::bind_port_to_vcpu(d, EvtPort(p), VcpuId(v)));
                m.vcpu = v;
                break;
            }
            case 2:
                guest.mask(p);
                m.masked = true;
                break;
            case 3:
                if (!guest.clear_mask(p)) {
                    ASSERT_TRUE(core::unmask_port(d, EvtPort(p)));
                }
                m.masked = false;
                link(p);
                break;
            case 4: {
                ASSERT_TRUE(core::close_port(d, EvtPort(p)));
                ASSERT_TRUE(core::close_port(sender, other_end[p]));
                ASSERT_TRUE(core::alloc_unbound_at(d, EvtPort(p), sender.id));
                other_end[p] = *core::bind_interdomain(sender, d.id, EvtPort(p));
                m.pending = false;
                m.vcpu = 0;
                m.priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
                break;
            }
            case 5: {
                const u32 v = random() % kVcpus;
                Ports want;
                for (auto& queue : queues[v])
                    for (; !queue.empty(); queue.pop_front()) {
                        Model& taken = model[queue.front()];
                        taken.linked = false;
                        if (!taken.pending || taken.masked) continue;
                        taken.pending = false;
                        want.push_back(queue.front());
                    }
                ASSERT_EQ(upcall(d, v) || want.empty(), true);
                ASSERT_EQ(guest.take(v), want) << "step " << step;
                break;
            }
            default:
                ASSERT_TRUE(send_event(sender, other_end[p]));
                m.pending = true;
                link(p);
                break;
        }
        ASSERT_EQ(*core::port_pending(d, EvtPort(p)), m.pending);
    }
}

// Senders on one thread against the guest on another, with priorities and vCPUs changing: nothing sent may
// stay behind when both are done.
TEST_F(Fifo, NothingIsLostBetweenThreads) {
    constexpr u32 kPorts = 12;
    Domain& d = make_running(1, 2);
    Domain& sender = make_running(2, 1);
    FifoGuest guest(d, 1, 2);
    std::vector<EvtPort> ends;
    for (u32 i = 0; i < kPorts; i++)
        ends.push_back(*core::bind_interdomain(sender, d.id, *core::alloc_unbound(d, sender.id)));
    // What a handler sees: the number sent before the event.
    std::array<std::atomic<u32>, kPorts + 1> sent{}, seen{};
    std::atomic<u32> running{2};
    const auto send_some = [&](u32 cpu) {
        machine.set_cpu(CpuId(cpu));
        std::mt19937 random(cpu + 1);
        for (int step = 0; step < 150000; step++) {
            const u32 p = 1 + random() % kPorts;
            const u32 what = random() % 64;
            if (what == 0) {
                EXPECT_TRUE(core::set_port_priority(d, EvtPort(p), random() % 16));
            } else if (what == 1) {
                EXPECT_TRUE(core::bind_port_to_vcpu(d, EvtPort(p), VcpuId(random() % 2)));
            } else {
                sent[p].fetch_add(1);
                EXPECT_TRUE(send_event(sender, ends[p - 1]));
            }
            if (random() % 256 == 0) port::relax();
        }
        running--;
    };
    // The guest's two vCPUs on one thread; handlers mask and unmask as they do.
    const auto handle = [&](u32 p) { seen[p].store(sent[p].load()); };
    const auto guest_side = [&] {
        std::mt19937 random(99);
        while (running != 0) {
            if (random() % 8 == 0) {
                const u32 p = 1 + random() % kPorts;
                guest.mask(p);
                port::relax();
                if (!guest.clear_mask(p)) {
                    EXPECT_TRUE(core::unmask_port(d, EvtPort(p)));
                }
            }
            for (u32 v = 0; v < 2; v++)
                if (std::atomic_ref(vcpu(d, v).info->evtchn_upcall_pending).load() != 0)
                    guest.take(v, handle);
        }
    };
    std::thread a(send_some, 0), b(send_some, 1), c(guest_side);
    a.join(), b.join(), c.join();
    machine.set_cpu(CpuId(0));
    for (u32 v = 0; v < 2; v++)
        if (upcall(d, v)) guest.take(v, handle);
    for (u32 p = 1; p <= kPorts; p++) {
        EXPECT_EQ(seen[p].load(), sent[p].load()) << "port " << p;
        EXPECT_EQ(guest.word(p), 0u) << "port " << p;
    }
}

// One vCPU sets the queues up and resets them while another sends: what a sender still sees stays in place
// until it has left, and then the pages are the guest's again.
TEST_F(Fifo, SetUpAndResetUnderASender) {
    Domain& d = make_running(1, 2);
    const Mfn control = *core::allocate_pages(d, 0), words = *core::allocate_pages(d, 0);
    std::atomic<bool> stop{false};
    const auto leave = [&] {
        for (u32 work = port::take_work(); work != 0; work = port::take_work())
            upcall::run_work(work, machine.now);
    };
    std::thread sender([&] {
        machine.set_cpu(CpuId(0));
        std::mt19937 random(1);
        for (u32 step = 0; !stop; step++) {
            const EvtPort p(1 + random() % 8);
            if (random() % 8 == 0 && d.events.active < 8) static_cast<void>(bind_ipi(d, VcpuId(0)));
            static_cast<void>(send_event(d, p));
            static_cast<void>(core::port_pending(d, p));
            static_cast<void>(core::unmask_port(d, p));
            if (step % 16 == 0) leave();
        }
    });
    std::thread owner([&] {
        machine.set_cpu(CpuId(1));
        for (int round = 0; round < 3000; round++) {
            EXPECT_TRUE(core::init_fifo_control(d, VcpuId(0), control, 0));
            EXPECT_TRUE(core::expand_fifo_array(d, words));
            EXPECT_TRUE(core::init_fifo_control(d, VcpuId(1), control, 128));
            if (round % 8 == 0) port::relax();
            u32 next = 0;
            EXPECT_TRUE(core::reset_events(d, next));
            leave();
        }
        stop = true;
    });
    sender.join(), owner.join();
    quiesce();
    EXPECT_EQ(refs(control), 1u);
    EXPECT_EQ(refs(words), 1u);
}

}  // namespace
}  // namespace domus
