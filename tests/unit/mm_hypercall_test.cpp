// SPDX-License-Identifier: GPL-2.0-or-later
// The page-table hypercalls through the dispatch edge: arguments, counts, continuations.
#include "core/pages.hpp"
#include "mm/page_type.hpp"
#include "port/memory.hpp"
#include "pv/mmu.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

class MmuHypercalls : public HypercallTest {
  protected:
    MmuHypercalls() {
        for (Mfn* m : {&l4, &l3, &l2, &l1, &page}) {
            *m = *core::allocate_pages(domain, 0, {.scrub = true});
        }
        constexpr u64 kRw = Pte::kPresent | Pte::kWritable;
        port::frame_ptr<Pte>(l4)[0] = Pte(l3, kRw);
        port::frame_ptr<Pte>(l3)[0] = Pte(l2, kRw);
        port::frame_ptr<Pte>(l2)[0] = Pte(l1, kRw);
        EXPECT_TRUE(pv::set_kernel_table(vcpu, l4, false));
    }
    void TearDown() override {
        EXPECT_TRUE(pv::drop_tables(vcpu));
        HypercallTest::TearDown();
    }

    Mfn l4, l3, l2, l1, page;
};

TEST_F(MmuHypercalls, UpdateIsContinuedAndCountsAll) {
    std::vector<mmu_update_t> list;
    for (u32 i = 0; i < 200; i++) list.push_back({(l1.v << 12) + i * 8, (page.v << 12) | 1});
    put(0x1000, list);
    put<u32>(0, 77);
    machine.preempt = true;
    EXPECT_EQ(run(__HYPERVISOR_mmu_update, at(0x1000), 200, at(0), DOMID_SELF), 0);
    EXPECT_EQ(again_count, 3u);
    EXPECT_EQ(get<u32>(0), 200u);
    EXPECT_EQ(port::frame_ptr<Pte>(l1)[199].mfn(), page);
    EXPECT_EQ(frame_of(page).refs.load() & kRefCount, 201u);
    machine.preempt = false;
    // The first that is refused ends the list.
    list[150].val = (l1.v << 12) | 3;
    put(0x1000, list);
    EXPECT_EQ(run(__HYPERVISOR_mmu_update, at(0x1000), 200, at(0), DOMID_SELF), -EBUSY);
    EXPECT_EQ(get<u32>(0), 150u);
    EXPECT_EQ(run(__HYPERVISOR_mmu_update, at(0x1000), 1, 8, DOMID_SELF), -EFAULT);
    EXPECT_EQ(run(__HYPERVISOR_mmu_update, at(0x1000), 1, 0, DOMID_SELF), 0);
    EXPECT_EQ(run(__HYPERVISOR_mmu_update, 8, 1, 0, DOMID_SELF), -EFAULT);
}

TEST_F(MmuHypercalls, ExtendedOperationsAndMappings) {
    mmuext_op_t op[2] = {};
    op[0].cmd = MMUEXT_CLEAR_PAGE;
    op[0].arg1.mfn = page.v;
    op[1].cmd = MMUEXT_PIN_L1_TABLE;
    op[1].arg1.mfn = page.v;
    put(0x1000, std::vector<mmuext_op_t>(op, op + 2));
    EXPECT_EQ(run(__HYPERVISOR_mmuext_op, at(0x1000), 2, at(0), DOMID_SELF), 0);
    EXPECT_EQ(get<u32>(0), 2u);
    EXPECT_EQ(run(__HYPERVISOR_mmuext_op, at(0x1000), 2, at(0), DOMID_SELF), -EINVAL);
    EXPECT_EQ(get<u32>(0), 0u);
    EXPECT_EQ(run(__HYPERVISOR_update_va_mapping, 0x3000, (page.v << 12) | 1, 0), 0);
    EXPECT_EQ(run(__HYPERVISOR_update_va_mapping, 0x3000, (page.v << 12) | 3, 0), -EBUSY);
    EXPECT_EQ(run(__HYPERVISOR_update_va_mapping_otherdomain, 0x3000, 0, 0, DOMID_SELF), 0);
}

}  // namespace
}  // namespace domus::hypercall
