// SPDX-License-Identifier: GPL-2.0-or-later
// The control domain builds another domain's address space, maps its pages, and outlives it.
#include <cstring>
#include <vector>

#include "core/pages.hpp"
#include "core_fixture.hpp"
#include "mm/page_type.hpp"
#include "pv/mmu.hpp"

namespace domus {
namespace {

constexpr u64 kRw = Pte::kPresent | Pte::kWritable, kRo = Pte::kPresent;

class ForeignTables : public CoreTest {
  protected:
    void SetUp() override {
        CoreTest::SetUp();
        control = &make_domain(0, 1, {.privileged = true});
        guest = &make_domain(5, 1);
        const Mfn l4 = page(*control), l3 = page(*control), l2 = page(*control);
        l1 = page(*control);
        table(l4)[0] = Pte(l3, kRw), table(l3)[0] = Pte(l2, kRw), table(l2)[0] = Pte(l1, kRw);
        ASSERT_TRUE(pv::set_kernel_table(vcpu(), l4, false));
    }
    void TearDown() override {
        ASSERT_TRUE(pv::drop_tables(vcpu()));
        CoreTest::TearDown();
    }
    Vcpu& vcpu() { return *control->vcpu(VcpuId(0)); }
    static Mfn page(Domain& d) { return *core::allocate_pages(d, 0, {.scrub = true}); }
    static Pte* table(Mfn m) { return port::frame_ptr<Pte>(m); }
    static u64 refs(Mfn m) { return frame_of(m).refs.load() & kRefCount; }
    Result<> update(Mfn m, unsigned index, Pte v, u32 foreign) {
        const mmu_update_t r{(m.v << kPageShift) + index * 8, v.v};
        std::memcpy(machine.guest.data(), &r, sizeof r);
        return pv::mmu_update(vcpu(), GuestIn<mmu_update_t>(fakes::Machine::guest_base), 1, foreign).status;
    }
    Result<> ext(u32 cmd, Mfn m, u32 foreign) {
        mmuext_op_t o{};
        o.cmd = cmd, o.arg1.mfn = m.v;
        std::memcpy(machine.guest.data(), &o, sizeof o);
        Result<> r;
        do r = pv::mmuext_op(vcpu(), GuestIn<mmuext_op_t>(fakes::Machine::guest_base), 1, foreign).status;
        while (!r && r.error() == Error::restart);
        return r;
    }

    Domain *control = nullptr, *guest = nullptr;
    Mfn l1;
};

TEST_F(ForeignTables, PagesAreMappedByName) {
    const Mfn theirs = page(*guest);
    EXPECT_FALSE(update(l1, 0, Pte(theirs, kRw), DOMID_SELF));  // must be named
    EXPECT_EQ(update(l1, 0, Pte(theirs, kRw), 6).error(), Error::srch);
    EXPECT_TRUE(update(l1, 0, Pte(theirs, kRw), 5));
    EXPECT_FALSE(update(l1, 1, Pte(l1, kRo), 5));  // not theirs
    EXPECT_EQ(refs(theirs), 2u);
    EXPECT_EQ(TypeWord{frame_of(theirs).type.load()}.count(), 1u);
    EXPECT_EQ(ext(MMUEXT_PIN_L1_TABLE, theirs, 5).error(), Error::inval);  // mapped writable here
    EXPECT_TRUE(update(l1, 0, Pte(), DOMID_SELF));
    EXPECT_EQ(refs(theirs), 1u);
    EXPECT_TRUE(pv::update_va_mapping(vcpu(), Vaddr(0x2000), Pte(theirs, kRo), 0, 5));
    EXPECT_EQ(refs(theirs), 2u);
    EXPECT_TRUE(update(l1, 2, Pte(), DOMID_SELF));
}

// A list of requests is judged by the rules of its beginning, and the domain may come to its end meanwhile:
// it may have been at the page already, and would never give up the pin.
TEST_F(ForeignTables, NoPinStaysInADomainThatComesToItsEnd) {
    const Mfn before = page(*guest), t = page(*guest);
    ASSERT_TRUE(ext(MMUEXT_PIN_L1_TABLE, before, 5));
    mmuext_op_t list[2]{};
    list[0].cmd = MMUEXT_UNPIN_TABLE, list[0].arg1.mfn = before.v;
    list[1].cmd = MMUEXT_PIN_L1_TABLE, list[1].arg1.mfn = t.v;
    std::memcpy(machine.guest.data(), list, sizeof list);
    machine.on_tlb_clock = [this] { guest->dying.store(Dying::dying); };  // when the first table ends
    const auto done = pv::mmuext_op(vcpu(), GuestIn<mmuext_op_t>(fakes::Machine::guest_base), 2, 5);
    machine.on_tlb_clock = nullptr;
    ASSERT_EQ(guest->dying.load(), Dying::dying);
    EXPECT_EQ(done.done, 1u);
    EXPECT_EQ(done.status.error(), Error::inval);
    EXPECT_FALSE(TypeWord{frame_of(t).type.load()}.has(TypeWord::kPinned));
    // What the pin held goes with the caller's next request.
    EXPECT_FALSE(ext(MMUEXT_TLB_FLUSH_LOCAL, t, 6));
    EXPECT_TRUE(ext(MMUEXT_TLB_FLUSH_LOCAL, t, DOMID_SELF));
    EXPECT_EQ(TypeWord{frame_of(t).type.load()}.count(), 0u);
    EXPECT_EQ(refs(t), 1u);
    guest->dying.store(Dying::no);
}

TEST_F(ForeignTables, TablesArePinnedAndChanged) {
    const Mfn t4 = page(*guest), t3 = page(*guest), p = page(*guest);
    table(t4)[3] = Pte(t3, kRw);
    EXPECT_FALSE(ext(MMUEXT_PIN_L4_TABLE, t4, DOMID_SELF));
    ASSERT_TRUE(ext(MMUEXT_PIN_L4_TABLE, t4, 5));
    const Mfn t2 = page(*guest), mine = page(*control);
    const u32 theirs = (6u << 16) | 5;  // tables and pages of domain 5
    EXPECT_EQ(update(t3, 0, Pte(t2, kRw), DOMID_SELF).error(), Error::perm);
    EXPECT_TRUE(update(t3, 0, Pte(t2, kRw), theirs));
    EXPECT_FALSE(update(t3, 1, Pte(mine, kRw), theirs));
    EXPECT_EQ(update(t3, 1, Pte(), (9u << 16) | 5).error(), Error::srch);
    EXPECT_FALSE(ext(MMUEXT_NEW_BASEPTR, t4, 5));
    // The other way round there is no way.
    control->privileged = false;
    EXPECT_EQ(update(l1, 0, Pte(p, kRw), 5).error(), Error::perm);
    EXPECT_EQ(update(t3, 0, Pte(), theirs).error(), Error::perm);
    control->privileged = true;
    // Its end finds pinned tables, at each interruption.
    machine.preempt = true;
    Result<> r;
    do r = core::destroy_domain(*guest);
    while (!r && r.error() == Error::restart);
    EXPECT_TRUE(r);
    machine.preempt = false;
    EXPECT_EQ(refs(t4), 0u);
    EXPECT_EQ(refs(t2), 0u);
}

TEST_F(ForeignTables, AMappedPageOutlivesItsDomain) {
    const Mfn theirs = page(*guest);
    ASSERT_TRUE(update(l1, 0, Pte(theirs, kRw), 5));
    destroy(*guest);
    EXPECT_EQ(refs(theirs), 1u);
    EXPECT_FALSE(update(l1, 1, Pte(theirs, kRw), 5) && refs(theirs) != 2);
    EXPECT_TRUE(update(l1, 1, Pte(), DOMID_SELF));
    EXPECT_TRUE(update(l1, 0, Pte(), DOMID_SELF));
    EXPECT_EQ(refs(theirs), 0u);
}

}  // namespace
}  // namespace domus
