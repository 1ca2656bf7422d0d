// SPDX-License-Identifier: GPL-2.0-or-later
// event_channel_op between domains, and as the toolstack uses it for others.
#include <gtest/gtest.h>

#include "abi/xen.hpp"
#include "core/event_fifo.hpp"
#include "core/pages.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

class EventOps : public HypercallTest {
  protected:
    Domain& guest = make_running(5, 2);
    Domain& third = make_running(6, 1);

    template <class T>
    s64 as(Domain& d, u32 command, T& arg) {
        put(0, arg);
        const s64 result = run_as(*d.vcpu(VcpuId(0)), __HYPERVISOR_event_channel_op, command, at(0));
        arg = get<T>(0);
        return result;
    }
    s64 alloc(Domain& caller_domain, u16 dom, u16 remote, u32& port) {
        evtchn_alloc_unbound_t a{};
        a.dom = dom, a.remote_dom = remote;
        const s64 r = as(caller_domain, EVTCHNOP_alloc_unbound, a);
        port = a.port;
        return r;
    }
    s64 bind(Domain& caller_domain, u16 remote, u32 remote_port, u32& port) {
        evtchn_bind_interdomain_t b{};
        b.remote_dom = remote, b.remote_port = remote_port;
        const s64 r = as(caller_domain, EVTCHNOP_bind_interdomain, b);
        port = b.local_port;
        return r;
    }
    evtchn_status_t status(Domain& caller_domain, u16 dom, u32 port, s64 expected = 0) {
        evtchn_status_t s{};
        s.dom = dom, s.port = port;
        EXPECT_EQ(as(caller_domain, EVTCHNOP_status, s), expected);
        return s;
    }
};

TEST_F(EventOps, TheToolstackMakesAChannelForOthers) {
    u32 theirs = 0, mine = 0;
    EXPECT_EQ(alloc(third, 5, 6, theirs), -EPERM);
    EXPECT_EQ(alloc(domain, 99, 0, theirs), -ESRCH);
    ASSERT_EQ(alloc(domain, 5, 6, theirs), 0);
    EXPECT_EQ(status(domain, 5, theirs).u.unbound.dom, 6);
    EXPECT_EQ(bind(domain, 5, theirs, mine), -EINVAL) << "it waits for another";
    ASSERT_EQ(bind(third, 5, theirs, mine), 0);
    EXPECT_EQ(status(guest, DOMID_SELF, theirs).status, u32{EVTCHNSTAT_interdomain});
    EXPECT_EQ(status(domain, 6, mine).u.interdomain.port, theirs);
    evtchn_status_t s{};
    s.dom = 5, s.port = theirs;
    EXPECT_EQ(as(third, EVTCHNOP_status, s), -EPERM);
    // By DOMID_SELF, for the caller's own.
    u32 own = 0;
    ASSERT_EQ(alloc(guest, DOMID_SELF, DOMID_SELF, own), 0);
    EXPECT_EQ(status(guest, DOMID_SELF, own).u.unbound.dom, 5);
    ASSERT_EQ(alloc(guest, 5, 99, own), 0) << "for a domain that may come";
}

TEST_F(EventOps, BothEndsChangeTogether) {
    u32 a = 0, b = 0;
    ASSERT_EQ(alloc(guest, DOMID_SELF, 6, a), 0);
    ASSERT_EQ(bind(third, 5, a, b), 0);
    destroy(third);
    EXPECT_EQ(status(guest, DOMID_SELF, a).status, u32{EVTCHNSTAT_unbound}) << "its peer has died";
    EXPECT_EQ(status(guest, DOMID_SELF, a).u.unbound.dom, 6);
    evtchn_send_t send{a};
    EXPECT_EQ(as(guest, EVTCHNOP_send, send), 0);
    EXPECT_EQ(status(domain, 6, b, -ESRCH).status, 0u);
}

TEST_F(EventOps, ResetOfOthers) {
    u32 a = 0, b = 0;
    ASSERT_EQ(alloc(guest, DOMID_SELF, 6, a), 0);
    ASSERT_EQ(bind(third, 5, a, b), 0);
    evtchn_reset_t reset{5};
    EXPECT_EQ(as(third, EVTCHNOP_reset, reset), -EPERM);
    EXPECT_EQ(as(domain, EVTCHNOP_reset, reset), 0);
    EXPECT_EQ(status(domain, 5, a).status, u32{EVTCHNSTAT_closed});
    EXPECT_EQ(status(domain, 6, b).status, u32{EVTCHNSTAT_unbound});
    reset.dom = DOMID_SELF;
    EXPECT_EQ(as(third, EVTCHNOP_reset, reset), 0);
    EXPECT_EQ(third.events.active, 0u);
    reset.dom = 99;
    EXPECT_EQ(as(domain, EVTCHNOP_reset, reset), -ESRCH);
}

TEST_F(EventOps, FifoIsSetUpByHypercall) {
    evtchn_expand_array_t expand{};
    const Mfn m = *core::allocate_pages(guest, 0), words = *core::allocate_pages(guest, 0);
    expand.array_gfn = words.v;
    EXPECT_EQ(as(guest, EVTCHNOP_expand_array, expand), -EOPNOTSUPP);
    evtchn_init_control_t init{};
    init.control_gfn = m.v, init.offset = 4;
    EXPECT_EQ(as(guest, EVTCHNOP_init_control, init), -EINVAL);
    init.offset = 8, init.vcpu = 77;
    EXPECT_EQ(as(guest, EVTCHNOP_init_control, init), -ENOENT);
    init.vcpu = 1;
    EXPECT_EQ(as(guest, EVTCHNOP_init_control, init), 0);
    EXPECT_EQ(init.link_bits, EVTCHN_FIFO_LINK_BITS);
    EXPECT_EQ(as(guest, EVTCHNOP_expand_array, expand), 0);
    evtchn_bind_ipi_t ipi{1, 0};
    ASSERT_EQ(as(guest, EVTCHNOP_bind_ipi, ipi), 0);
    evtchn_set_priority_t priority{ipi.port, 2};
    EXPECT_EQ(as(guest, EVTCHNOP_set_priority, priority), 0);
    evtchn_send_t send{ipi.port};
    EXPECT_EQ(as(guest, EVTCHNOP_send, send), 0);
    const auto* block = reinterpret_cast<evtchn_fifo_control_block_t*>(port::frame_ptr<u8>(m) + 8);
    EXPECT_EQ(block->ready, 1u << 2);
    EXPECT_EQ(block->head[2], ipi.port);
}

}  // namespace
}  // namespace domus::hypercall
