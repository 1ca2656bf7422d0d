// SPDX-License-Identifier: GPL-2.0-or-later
// Physical interrupts from the simulated line to the guest's event and back.
#include "core/pirq.hpp"

#include "core_fixture.hpp"

namespace domus {
namespace {

using core::bind_pirq;
using core::map_gsi;

class PirqTest : public CoreTest {
  protected:
    Domain* dom0 = nullptr;
    void SetUp() override {
        CoreTest::SetUp();
        dom0 = &make_running(0, 2, {.hardware = true});
    }
    IrqId line(Pirq p) { return dom0->pirqs.entries.find(p.v)->irq; }
    fakes::IrqLine& state(Pirq p) { return fakes::interrupts.lines[line(p).v]; }
};

TEST_F(PirqTest, EdgeTriggeredNeedsNoEnd) {
    const Pirq p = *map_gsi(*dom0, Gsi(4), 4);
    EXPECT_EQ(p, Pirq(4));
    EXPECT_EQ(*core::pirq_status(*dom0, p), 0u);
    const EvtPort port = *bind_pirq(*dom0, p, 0);
    fakes::interrupts.raise(line(p));
    EXPECT_TRUE(pending(*dom0, port));
    fakes::interrupts.raise(line(p));
    EXPECT_EQ(state(p).deliveries, 2u);
    EXPECT_TRUE(core::end_pirq(*dom0, p));
    EXPECT_EQ(state(p).eois, 0u);
}

TEST_F(PirqTest, LevelTriggeredFiresOnceUntilEnded) {
    ASSERT_TRUE(port::gsi_configure(Gsi(20), Trigger::level, Polarity::low));
    const Pirq p = *map_gsi(*dom0, Gsi(20), -1);
    EXPECT_EQ(p, Pirq(20));
    EXPECT_EQ(*core::pirq_status(*dom0, p), u32{XENIRQSTAT_needs_eoi});
    const EvtPort port = *bind_pirq(*dom0, p, BIND_PIRQ__WILL_SHARE);
    fakes::interrupts.raise(line(p));
    fakes::interrupts.raise(line(p));
    EXPECT_EQ(state(p).deliveries, 1u);
    ack(*dom0, port);
    EXPECT_TRUE(core::end_pirq(*dom0, p));
    EXPECT_EQ(state(p).deliveries, 2u) << "still asserted";
    EXPECT_TRUE(pending(*dom0, port));
    fakes::interrupts.lower(line(p));
    EXPECT_TRUE(core::end_pirq(*dom0, p));
    EXPECT_TRUE(core::end_pirq(*dom0, p));
    EXPECT_EQ(state(p).eois, 2u) << "an end without service is nothing";
}

TEST_F(PirqTest, ClosingThePortEndsService) {
    ASSERT_TRUE(port::gsi_configure(Gsi(20), Trigger::level, Polarity::low));
    const Pirq p = *map_gsi(*dom0, Gsi(20), -1);
    const EvtPort port = *bind_pirq(*dom0, p, 0);
    EXPECT_ERROR(bind_pirq(*dom0, p, 0), exist);
    fakes::interrupts.raise(line(p));
    ASSERT_TRUE(core::close_port(*dom0, port));
    EXPECT_TRUE(state(p).masked);
    EXPECT_FALSE(state(p).in_service);
    ack(*dom0, port);
    ASSERT_TRUE(bind_pirq(*dom0, p, 0));
    EXPECT_TRUE(pending(*dom0, port)) << "still asserted";
}

TEST_F(PirqTest, MappingRules) {
    EXPECT_ERROR(map_gsi(*dom0, Gsi(24), -1), inval);
    EXPECT_ERROR(map_gsi(*dom0, Gsi(5), 8192), inval);
    EXPECT_EQ(*map_gsi(*dom0, Gsi(5), 7), Pirq(7));
    EXPECT_EQ(*map_gsi(*dom0, Gsi(5), -1), Pirq(7)) << "it keeps its number";
    EXPECT_ERROR(map_gsi(*dom0, Gsi(5), 8), exist);
    EXPECT_ERROR(map_gsi(*dom0, Gsi(6), 7), exist);
    EXPECT_EQ(*map_gsi(*dom0, Gsi(7), -1), Pirq(16)) << "its own number is taken";
    EXPECT_TRUE(core::unmap_pirq(*dom0, Pirq(7)));
    EXPECT_ERROR(core::unmap_pirq(*dom0, Pirq(7)), inval);
    EXPECT_ERROR(core::end_pirq(*dom0, Pirq(7)), inval);
    EXPECT_ERROR(bind_pirq(*dom0, Pirq(7), 0), inval);
    EXPECT_ERROR(bind_pirq(*dom0, Pirq(~0u), 0), inval);
    EXPECT_ERROR(bind_pirq(*dom0, Pirq(16), ~0u), inval);
    EXPECT_ERROR(core::pirq_status(*dom0, Pirq(~0u)), inval);
    EXPECT_EQ(dom0->events.active, 0u);
}

TEST_F(PirqTest, OtherDomainsNeedPermission) {
    Domain& d = make_domain(5);
    EXPECT_ERROR(map_gsi(d, Gsi(9), -1), perm);
    ASSERT_TRUE(d.irq_caps.add(9, 9));
    const Pirq p = *map_gsi(d, Gsi(9), -1);
    ASSERT_TRUE(bind_pirq(d, p, 0));
    // A line has one user.
    const Pirq q = *map_gsi(*dom0, Gsi(9), -1);
    EXPECT_ERROR(bind_pirq(*dom0, q, BIND_PIRQ__WILL_SHARE), busy);
}

TEST_F(PirqTest, TheHypervisorsOwnLineMapsButDoesNotBind) {
    // dom0 maps every ISA interrupt at boot, the console's too, and must get a number for each.
    const IrqId irq = *port::irq_allocate_gsi(Gsi(4));
    ASSERT_TRUE(port::irq_attach(irq, {[](IrqId, void*) {}, nullptr}));
    port::irq_unmask(irq);
    const Pirq p = *map_gsi(*dom0, Gsi(4), 4);
    EXPECT_EQ(p, Pirq(4));
    EXPECT_ERROR(bind_pirq(*dom0, p, BIND_PIRQ__WILL_SHARE), busy);
    EXPECT_EQ(dom0->events.active, 0u) << "no port is left behind";
    EXPECT_TRUE(core::end_pirq(*dom0, p));
    EXPECT_TRUE(core::unmap_pirq(*dom0, p));
    EXPECT_FALSE(state(*map_gsi(*dom0, Gsi(4), 4)).masked);
    EXPECT_EQ(fakes::interrupts.lines[irq.v].eois, 0u);
}

TEST_F(PirqTest, Messages) {
    const Pirq first = *core::map_msi(*dom0, {.device = {0, 0, 8}}, 4, -1);
    EXPECT_EQ(first, Pirq(24));
    const EvtPort port = *bind_pirq(*dom0, first + 3, 0);
    fakes::interrupts.raise(line(first + 3));
    EXPECT_TRUE(pending(*dom0, port));
    EXPECT_ERROR(core::map_msi(*dom0, {}, 0, -1), inval);
    EXPECT_ERROR(core::map_msi(*dom0, {}, 33, -1), inval);
    EXPECT_ERROR(core::map_msi(*dom0, {}, 1, 26), exist);
    fakes::interrupts.no_vectors_after = 1;
    EXPECT_ERROR(core::map_msi(*dom0, {}, 2, -1), nospc);
    EXPECT_EQ(*core::free_pirq(*dom0, true), Pirq(28));
    const IrqId irq = line(first + 3);
    EXPECT_TRUE(core::unmap_pirq(*dom0, first + 3)) << "bound: it is unbound";
    EXPECT_FALSE(fakes::interrupts.lines[irq.v].used);
    EXPECT_TRUE(core::close_port(*dom0, port));
}

TEST_F(PirqTest, EoiPage) {
    ASSERT_TRUE(port::gsi_configure(Gsi(20), Trigger::level, Polarity::low));
    ASSERT_TRUE(map_gsi(*dom0, Gsi(20), -1));
    ASSERT_TRUE(map_gsi(*dom0, Gsi(4), -1));
    EXPECT_ERROR(core::register_eoi_page(*dom0, Mfn(3), false), inval);
    const Mfn page = *core::allocate_pages(*dom0, 0, {.scrub = true});
    ASSERT_TRUE(core::register_eoi_page(*dom0, page, true));
    EXPECT_ERROR(core::register_eoi_page(*dom0, page, true), busy);
    const u64* bits = port::frame_ptr<u64>(page);
    EXPECT_EQ(bits[0], 1u << 20);
    const EvtPort port = *bind_pirq(*dom0, Pirq(20), 0);
    fakes::interrupts.raise(line(Pirq(20)));
    fakes::interrupts.lower(line(Pirq(20)));
    mask(*dom0, port);
    ASSERT_TRUE(core::end_pirq(*dom0, Pirq(20)));
    EXPECT_EQ(dom0->shared->evtchn_mask[0], 0u) << "version 1 unmasks";
    ASSERT_TRUE(core::unmap_pirq(*dom0, Pirq(20)));
    EXPECT_EQ(bits[0], 0u);
}

}  // namespace
}  // namespace domus
