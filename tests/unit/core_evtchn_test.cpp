// SPDX-License-Identifier: GPL-2.0-or-later
// Event channels: the ABI's rules one by one, then long random runs against a model.
#include "core/evtchn.hpp"

#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "core_fixture.hpp"

namespace domus {
namespace {

using core::alloc_unbound;
using core::bind_interdomain;
using core::bind_ipi;
using core::bind_virq;
using core::close_port;
using core::port_status;
using core::send_event;

class Evtchn : public CoreTest {};

TEST_F(Evtchn, InterdomainCarriesEventsBothWays) {
    Domain& a = make_running(1);
    Domain& b = make_running(2);
    const EvtPort pa = *alloc_unbound(a, b.id);
    EXPECT_EQ(pa, EvtPort(1)) << "port 0 is never used";
    EXPECT_EQ(port_status(a, pa)->status, u32{EVTCHNSTAT_unbound});
    EXPECT_EQ(port_status(a, pa)->u.unbound.dom, 2);
    EXPECT_TRUE(send_event(a, pa)) << "an unbound port swallows events";

    const EvtPort pb = *bind_interdomain(b, a.id, pa);
    EXPECT_TRUE(pending(b, pb)) << "the new end is made pending";
    EXPECT_EQ(port_status(a, pa)->status, u32{EVTCHNSTAT_interdomain});
    EXPECT_EQ(port_status(a, pa)->u.interdomain.dom, 2);
    EXPECT_EQ(port_status(a, pa)->u.interdomain.port, pb.v);

    ack(b, pb);
    EXPECT_TRUE(send_event(a, pa));
    EXPECT_TRUE(pending(b, pb));
    EXPECT_FALSE(pending(a, pa));
    EXPECT_EQ(vcpu(b, 0).info->evtchn_pending_sel, 1ul << (pb.v / 64));
    EXPECT_EQ(vcpu(b, 0).info->evtchn_upcall_pending, 1);

    EXPECT_TRUE(close_port(a, pa));
    EXPECT_EQ(port_status(b, pb)->status, u32{EVTCHNSTAT_unbound}) << "the peer waits anew";
    EXPECT_EQ(port_status(b, pb)->u.unbound.dom, 1);
    EXPECT_EQ(port_status(a, pa)->status, u32{EVTCHNSTAT_closed});
    EXPECT_ERROR(send_event(a, pa), inval);
}

std::vector<std::string> report;

TEST_F(Evtchn, AReportForPeople) {
    report.clear();
    Domain& a = make_running(1, 2);
    Domain& b = make_running(2);
    const EvtPort pa = *alloc_unbound(a, b.id);
    const EvtPort pb = *bind_interdomain(b, a.id, pa);
    ack(b, pb);
    const EvtPort ipi = *bind_ipi(a, VcpuId(1));
    ASSERT_TRUE(core::alloc_unbound_at(a, EvtPort(4000), b.id)) << "in a part of the table of its own";
    ASSERT_TRUE(bind_virq(b, VIRQ_TIMER, VcpuId(0)));
    ASSERT_TRUE(send_event(a, pa));
    core::set_timer(vcpu(b, 0).singleshot_timer, CpuId(0), machine.now + 5'000'000);
    core::report_events([](std::string_view line) { report.emplace_back(line); });
    const auto says = [](const std::string& text) {
        return std::count(report.begin(), report.end(), text) == 1;
    };
    EXPECT_TRUE(says("  domain 1: two levels"));
    EXPECT_TRUE(says("    port 1: d2 port 1, to vCPU 0"));
    EXPECT_TRUE(says("    port " + std::to_string(ipi.v) + ": IPI, to vCPU 1"));
    EXPECT_TRUE(says("    port 4000: waits for d2, to vCPU 0"));
    EXPECT_TRUE(says("    port 1: d1 port 1, to vCPU 0, pending"));
    EXPECT_TRUE(says("    port 2: VIRQ 0, to vCPU 0"));
    EXPECT_TRUE(says("      single-shot timer due in 5000 us"));
    core::cancel_timer(vcpu(b, 0).singleshot_timer);
}

TEST_F(Evtchn, BindInterdomainRefusals) {
    Domain& a = make_domain(1);
    Domain& b = make_domain(2);
    Domain& c = make_domain(3);
    const EvtPort pa = *alloc_unbound(a, b.id);
    EXPECT_ERROR(bind_interdomain(c, a.id, pa), inval);
    EXPECT_ERROR(bind_interdomain(b, DomId(9), pa), srch);
    EXPECT_ERROR(bind_interdomain(b, a.id, EvtPort(0)), inval);
    EXPECT_ERROR(bind_interdomain(b, a.id, EvtPort(~0u)), inval);
    ASSERT_TRUE(bind_interdomain(b, a.id, pa));
    EXPECT_ERROR(bind_interdomain(b, a.id, pa), inval);
    // The refused attempts gave their ports back.
    EXPECT_EQ(*bind_ipi(c, VcpuId(0)), EvtPort(1));
    EXPECT_EQ(b.events.active, 1u);
}

TEST_F(Evtchn, LoopbackWithinADomain) {
    Domain& a = make_running(1);
    const EvtPort p = *alloc_unbound(a, a.id);
    const EvtPort q = *bind_interdomain(a, a.id, p);
    ack(a, q);
    EXPECT_TRUE(send_event(a, p));
    EXPECT_TRUE(pending(a, q));
    EXPECT_TRUE(close_port(a, q));
    EXPECT_EQ(port_status(a, p)->status, u32{EVTCHNSTAT_unbound});
    EXPECT_FALSE(pending(a, q)) << "a closed port is not pending";
}

TEST_F(Evtchn, VirqRules) {
    Domain& a = make_running(1);
    EXPECT_ERROR(bind_virq(a, NR_VIRQS, VcpuId(0)), inval);
    EXPECT_ERROR(bind_virq(a, ~0u, VcpuId(0)), inval);
    EXPECT_ERROR(bind_virq(a, VIRQ_TIMER, VcpuId(2)), noent);
    EXPECT_ERROR(bind_virq(a, VIRQ_CONSOLE, VcpuId(1)), inval);
    const EvtPort t0 = *bind_virq(a, VIRQ_TIMER, VcpuId(0));
    const EvtPort t1 = *bind_virq(a, VIRQ_TIMER, VcpuId(1));
    EXPECT_ERROR(bind_virq(a, VIRQ_TIMER, VcpuId(1)), exist);
    const EvtPort console = *bind_virq(a, VIRQ_CONSOLE, VcpuId(0));
    EXPECT_ERROR(bind_virq(a, VIRQ_CONSOLE, VcpuId(0)), exist);

    core::send_virq(vcpu(a, 1), VIRQ_TIMER);
    EXPECT_FALSE(pending(a, t0));
    EXPECT_TRUE(pending(a, t1));
    EXPECT_EQ(vcpu(a, 1).info->evtchn_upcall_pending, 1);
    EXPECT_EQ(vcpu(a, 0).info->evtchn_upcall_pending, 0);

    EXPECT_ERROR(core::bind_port_to_vcpu(a, t0, VcpuId(1)), inval);
    EXPECT_TRUE(core::bind_port_to_vcpu(a, console, VcpuId(1)));
    take_upcall(vcpu(a, 1));
    core::send_global_virq(a, VIRQ_CONSOLE);
    EXPECT_TRUE(pending(a, console));
    EXPECT_EQ(vcpu(a, 1).info->evtchn_upcall_pending, 1);

    EXPECT_ERROR(send_event(a, t0), inval);
    EXPECT_TRUE(close_port(a, t0));
    EXPECT_TRUE(bind_virq(a, VIRQ_TIMER, VcpuId(0))) << "free again after close";
    core::send_virq(vcpu(a, 0), VIRQ_DEBUG);  // bound by nobody
}

TEST_F(Evtchn, GlobalVirqsGoToTheHardwareDomain) {
    core::send_global_virq(VIRQ_DOM_EXC);  // nobody there
    Domain& a = make_running(0, 2, {.hardware = true});
    const EvtPort p = *bind_virq(a, VIRQ_DOM_EXC, VcpuId(0));
    core::send_global_virq(VIRQ_DOM_EXC);
    EXPECT_TRUE(pending(a, p));
}

TEST_F(Evtchn, AGrownLogIsAVirq) {
    Domain& a = make_running(0, 2, {.hardware = true});
    const EvtPort p = *bind_virq(a, VIRQ_CON_RING, VcpuId(0));
    run_all();
    EXPECT_FALSE(pending(a, p));
    port::raise_work(port::Work::console);
    run_all();
    EXPECT_TRUE(pending(a, p));
}

TEST_F(Evtchn, IpiIsBoundForLife) {
    Domain& a = make_running(1);
    EXPECT_ERROR(bind_ipi(a, VcpuId(7)), noent);
    const EvtPort p = *bind_ipi(a, VcpuId(1));
    EXPECT_ERROR(core::bind_port_to_vcpu(a, p, VcpuId(0)), inval);
    EXPECT_TRUE(send_event(a, p));
    EXPECT_EQ(vcpu(a, 1).info->evtchn_upcall_pending, 1);
}

TEST_F(Evtchn, MaskingHoldsTheUpcallBack) {
    Domain& a = make_running(1);
    const EvtPort p = *bind_ipi(a, VcpuId(0));
    mask(a, p);
    EXPECT_TRUE(send_event(a, p));
    EXPECT_TRUE(pending(a, p));
    EXPECT_EQ(vcpu(a, 0).info->evtchn_upcall_pending, 0);
    EXPECT_TRUE(core::unmask_port(a, p));
    EXPECT_EQ(vcpu(a, 0).info->evtchn_upcall_pending, 1);
    EXPECT_EQ(a.shared->evtchn_mask[0], 0u);
    EXPECT_ERROR(core::unmask_port(a, EvtPort(3)), inval);
    EXPECT_ERROR(core::unmask_port(a, EvtPort(1u << 30)), inval);
}

TEST_F(Evtchn, HostilePorts) {
    Domain& a = make_domain(1);
    for (u32 p : {0u, 1u, 63u, 4095u, 4096u, core::kMaxPorts - 1, core::kMaxPorts, 0x80000000u, ~0u}) {
        EXPECT_ERROR(send_event(a, EvtPort(p)), inval);
        EXPECT_ERROR(close_port(a, EvtPort(p)), inval);
        EXPECT_ERROR(core::bind_port_to_vcpu(a, EvtPort(p), VcpuId(0)), inval);
        EXPECT_ERROR(core::port_pending(a, EvtPort(p)), inval);
    }
    EXPECT_ERROR(port_status(a, EvtPort(4096)), inval);
    EXPECT_EQ(port_status(a, EvtPort(4095))->status, u32{EVTCHNSTAT_closed});
    EXPECT_ERROR(core::bind_port_to_vcpu(a, EvtPort(1), VcpuId(~0u)), noent);
}

TEST_F(Evtchn, TableFillsUpToTheLimit) {
    Domain& a = make_domain(1);
    for (u32 i = 1; i < EVTCHN_2L_NR_CHANNELS; i++) ASSERT_EQ(*alloc_unbound(a, DomId(2)), EvtPort(i));
    EXPECT_ERROR(alloc_unbound(a, DomId(2)), nospc);
    EXPECT_TRUE(close_port(a, EvtPort(77)));
    EXPECT_EQ(*alloc_unbound(a, DomId(2)), EvtPort(77));
    Domain& b = make_domain(2, 1, {.max_port = 3});
    for (u32 i = 1; i <= 3; i++) ASSERT_TRUE(alloc_unbound(b, DomId(1)));
    EXPECT_ERROR(alloc_unbound(b, DomId(1)), nospc);
    EXPECT_ERROR(core::alloc_unbound_at(b, EvtPort(4), DomId(1)), inval);
    EXPECT_ERROR(core::alloc_unbound_at(b, EvtPort(3), DomId(1)), busy);
}

TEST_F(Evtchn, AllocatesAtAGivenNumber) {
    Domain& a = make_domain(1);
    EXPECT_TRUE(core::alloc_unbound_at(a, EvtPort(700), DomId(2)));
    EXPECT_EQ(*alloc_unbound(a, DomId(2)), EvtPort(1));
    EXPECT_TRUE(core::alloc_unbound_at(a, EvtPort(2), DomId(2)));
    EXPECT_EQ(*alloc_unbound(a, DomId(2)), EvtPort(3));
}

TEST_F(Evtchn, ResetClosesEverythingInSteps) {
    Domain& a = make_domain(1);
    Domain& b = make_domain(2);
    for (int i = 0; i < 500; i++) {
        const EvtPort p = *alloc_unbound(a, b.id);
        ASSERT_TRUE(bind_interdomain(b, a.id, p));
    }
    machine.preempt = true;
    u32 next = 0;
    int steps = 0;
    Result<> r = core::reset_events(a, next);
    for (; !r; r = core::reset_events(a, next), steps++) ASSERT_EQ(r.error(), Error::restart);
    machine.preempt = false;
    EXPECT_GT(steps, 3);
    EXPECT_EQ(a.events.active, 0u);
    EXPECT_EQ(port_status(b, EvtPort(500))->status, u32{EVTCHNSTAT_unbound});
    EXPECT_EQ(b.events.active, 500u);
}

// Control software may just be making a port for a domain that comes to its end.
TEST_F(Evtchn, ResetWaitsForAPortInTheMaking) {
    Domain& d = make_running(1);
    const EvtPort port = *alloc_unbound(d, DomId(2));
    core::Channel& c = *d.events.find(port);
    const core::ChannelState made = c.state();
    c.set(core::event_state::reserved());
    std::thread maker([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        LockGuard guard(c.lock);
        c.set(made);
    });
    u32 next = 0;
    EXPECT_TRUE(core::reset_events(d, next));
    maker.join();
    EXPECT_EQ(port_status(d, port)->status, u32{EVTCHNSTAT_closed});
}

TEST_F(Evtchn, APortWhosePeerIsNoMoreCanBeClosed) {
    Domain& d = make_running(1);
    const EvtPort port = *alloc_unbound(d, DomId(77));
    core::Channel& c = *d.events.find(port);
    {
        LockGuard guard(c.lock);
        c.set(core::event_state::interdomain(DomId(77), EvtPort(3)));
    }
    EXPECT_TRUE(close_port(d, port));
    EXPECT_EQ(port_status(d, port)->status, u32{EVTCHNSTAT_closed});
}

TEST_F(Evtchn, AllocationFailuresLeaveNothingBehind) {
    Domain& a = make_domain(1);
    std::vector<Mfn> eaten;
    for (auto m = alloc_frames(0); m; m = alloc_frames(0)) eaten.push_back(*m);
    // The table needs a page for its first bucket.
    EXPECT_ERROR(alloc_unbound(a, DomId(2)), nomem);
    EXPECT_ERROR(bind_virq(a, VIRQ_TIMER, VcpuId(0)), nomem);
    EXPECT_ERROR(bind_ipi(a, VcpuId(0)), nomem);
    EXPECT_EQ(a.events.active, 0u);
    for (Mfn m : eaten) free_frames(m, 0);
    EXPECT_EQ(*bind_virq(a, VIRQ_TIMER, VcpuId(0)), EvtPort(1));
}

// The model: what a port of a domain is, in the plainest form.
struct ModelPort {
    u32 status = EVTCHNSTAT_closed;
    u32 notify = 0;
    u16 peer = 0;
    u32 value = 0;
    bool pending = false;
};

class EvtchnModel : public CoreTest {
  protected:
    static constexpr u16 kDomains = 3;
    static constexpr u32 kVcpus = 2;
    Domain* domains[kDomains];
    std::map<u32, ModelPort> model[kDomains];

    u32 lowest_free(u16 d) {
        for (u32 p = 1;; p++)
            if (model[d][p].status == EVTCHNSTAT_closed) return p;
    }
    bool virq_bound(u16 d, u32 virq, u32 v) {
        for (auto& [p, port] : model[d])
            if (port.status == EVTCHNSTAT_virq && port.value == virq &&
                (!core::virq_is_per_vcpu(virq) || port.notify == v))
                return true;
        return false;
    }
    void close(u16 d, u32 p) {
        ModelPort& port = model[d][p];
        if (port.status == EVTCHNSTAT_interdomain) {
            ModelPort& other = model[port.peer][port.value];
            other.status = EVTCHNSTAT_unbound;
            other.peer = d;
            other.value = 0;
        }
        port = {};
    }
    void compare() {
        for (u16 d = 0; d < kDomains; d++)
            for (auto& [p, want] : model[d]) {
                const evtchn_status_t got = *port_status(*domains[d], EvtPort(p));
                ASSERT_EQ(got.status, want.status) << "d" << d << " port " << p;
                ASSERT_EQ(pending(*domains[d], EvtPort(p)), want.pending) << "d" << d << " port " << p;
                if (want.status == EVTCHNSTAT_closed) continue;
                ASSERT_EQ(got.vcpu, want.notify);
                if (want.status == EVTCHNSTAT_unbound) {
                    ASSERT_EQ(got.u.unbound.dom, want.peer);
                }
                if (want.status == EVTCHNSTAT_virq) {
                    ASSERT_EQ(got.u.virq, want.value);
                }
                if (want.status == EVTCHNSTAT_interdomain) {
                    ASSERT_EQ(got.u.interdomain.dom, want.peer);
                    ASSERT_EQ(got.u.interdomain.port, want.value);
                }
            }
    }
};

TEST_F(EvtchnModel, RandomOperations) {
    std::mt19937 random(11);
    for (u16 d = 0; d < kDomains; d++) domains[d] = &make_domain(d, kVcpus);
    for (int step = 0; step < 30000; step++) {
        const u16 d = static_cast<u16>(random() % kDomains);
        const u16 e = static_cast<u16>(random() % kDomains);
        const u32 p = random() % 12, v = random() % (kVcpus + 1), virq = random() % 4;
        Domain& dom = *domains[d];
        ModelPort& port = model[d][p];
        switch (random() % 9) {
            case 0: {
                if (lowest_free(d) > 11) break;
                const u32 at = lowest_free(d);
                ASSERT_EQ(alloc_unbound(dom, DomId(e))->v, at);
                model[d][at] = {EVTCHNSTAT_unbound, 0, e, 0, false};
                break;
            }
            case 1: {
                const u32 at = lowest_free(d);
                ModelPort& other = model[e][p];
                const bool fits =
                    p != 0 && other.status == EVTCHNSTAT_unbound && other.peer == d && !(e == d && at == p);
                const auto r = bind_interdomain(dom, DomId(e), EvtPort(p));
                ASSERT_EQ(r.has_value(), fits);
                if (!fits) break;
                ASSERT_EQ(r->v, at);
                other.status = EVTCHNSTAT_interdomain;
                other.value = at;
                model[d][at] = {EVTCHNSTAT_interdomain, 0, e, p, true};
                break;
            }
            case 2: {
                const u32 at = lowest_free(d);
                const auto r = bind_virq(dom, virq, VcpuId(v));
                const bool fits =
                    v < kVcpus && (core::virq_is_per_vcpu(virq) || v == 0) && !virq_bound(d, virq, v);
                ASSERT_EQ(r.has_value(), fits);
                if (fits) model[d][at] = {EVTCHNSTAT_virq, v, 0, virq, false};
                break;
            }
            case 3: {
                const u32 at = lowest_free(d);
                const auto r = bind_ipi(dom, VcpuId(v));
                ASSERT_EQ(r.has_value(), v < kVcpus);
                if (r) model[d][at] = {EVTCHNSTAT_ipi, v, 0, 0, false};
                break;
            }
            case 4: {
                ASSERT_EQ(close_port(dom, EvtPort(p)).has_value(), port.status != EVTCHNSTAT_closed);
                close(d, p);
                break;
            }
            case 5: {
                const auto r = send_event(dom, EvtPort(p));
                const bool fits = port.status == EVTCHNSTAT_interdomain || port.status == EVTCHNSTAT_ipi ||
                                  port.status == EVTCHNSTAT_unbound;
                ASSERT_EQ(r.has_value(), fits);
                if (port.status == EVTCHNSTAT_interdomain) model[port.peer][port.value].pending = true;
                if (port.status == EVTCHNSTAT_ipi) port.pending = true;
                break;
            }
            case 6: {
                const bool fixed = port.status == EVTCHNSTAT_ipi || port.status == EVTCHNSTAT_closed ||
                                   (port.status == EVTCHNSTAT_virq && core::virq_is_per_vcpu(port.value));
                const auto r = core::bind_port_to_vcpu(dom, EvtPort(p), VcpuId(v));
                ASSERT_EQ(r.has_value(), v < kVcpus && !fixed);
                if (r) port.notify = v;
                break;
            }
            case 7: {
                if (core::virq_is_per_vcpu(virq) && v < kVcpus)
                    core::send_virq(*dom.vcpu(VcpuId(v)), virq);
                else if (!core::virq_is_per_vcpu(virq))
                    core::send_global_virq(dom, virq);
                else
                    break;
                for (auto& [q, other] : model[d])
                    if (other.status == EVTCHNSTAT_virq && other.value == virq &&
                        (!core::virq_is_per_vcpu(virq) || other.notify == v))
                        other.pending = true;
                break;
            }
            case 8:  // the guest takes the event
                if (port.status != EVTCHNSTAT_closed) {
                    ack(dom, EvtPort(p));
                    port.pending = false;
                }
                break;
        }
        compare();
        if (HasFatalFailure()) FAIL() << "step " << step;
    }
    for (u16 d = 0; d < kDomains; d++) {
        u32 used = 0;
        for (auto& [p, port] : model[d]) used += port.status != EVTCHNSTAT_closed;
        EXPECT_EQ(domains[d]->events.active, used);
    }
}

TEST(ChannelState, PacksIntoAWord) {
    const core::ChannelState s{core::ChannelKind::interdomain, 15, 8191, DomId(0x7fef), core::kMaxPorts - 1};
    EXPECT_EQ(core::ChannelState::unpack(s.pack()), s);
    EXPECT_EQ(core::ChannelState::unpack(0).kind, core::ChannelKind::free);
}

}  // namespace
}  // namespace domus
