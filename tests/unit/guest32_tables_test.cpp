// SPDX-License-Identifier: GPL-2.0-or-later
// Page tables and descriptors of 32-bit guests: four entries of a root, the hypervisor's part of the last
// GiB, and rights that are the guest's own.
#include <cstring>
#include <vector>

#include "core/domain.hpp"
#include "fakes/pv_hw.hpp"
#include "mm/descriptor.hpp"
#include "mm_fixture.hpp"
#include "pv/gdt.hpp"
#include "pv/mmu.hpp"
#include "pv/mmu_rules.hpp"

namespace domus {
namespace {

constexpr DomId kDom{1};
constexpr u64 kRw = Pte::kPresent | Pte::kWritable, kRo = Pte::kPresent;

class Guest32Tables : public MemoryTest {
  protected:
    Guest32Tables() {
        domain.id = kDom;
        domain.is_32bit = true;
        domain.max_vcpus = 2;
        vcpu.domain = &domain;
        vcpu.pv.is_32bit = true;
        hypervisor_slots[0] = Pte(Mfn(7), kRo | Pte::kUser);
        hypervisor_slots[5] = Pte(Mfn(8), kRw);
        pae_slots = {};
        pae_slots[0] = Pte(Mfn(9), kRo | Pte::kLarge);
        root = new_root();
        for (unsigned i = 0; i < 4; i++) table(root)[i] = Pte(l2[i] = new_frame(kDom), Pte::kPresent);
        l1 = new_frame(kDom);
        page = new_frame(kDom);
        table(l2[3])[0] = Pte(l1, kRw);
        table(l1)[6] = Pte(page, kRw);
        vcpu.pv.kernel_table = vcpu.pv.user_table = *pv::make_pae_root();
    }
    ~Guest32Tables() override {
        while (!pv::drop_tables(vcpu)) {}
        pae_slots = {};
    }
    Mfn new_root() {
        const Mfn m = new_frame(kDom);
        // What the guest left behind its four entries is not to be believed.
        for (unsigned i = 4; i < kPtesPerTable; i++) table(m)[i] = Pte(Mfn(3), kRw | Pte::kUser);
        return m;
    }
    Result<> ext(u32 cmd, u64 mfn) {
        const abi32::MmuextOp op{.cmd = cmd, .arg1 = static_cast<u32>(mfn), .arg2 = 0};
        std::memcpy(machine.guest.data(), &op, sizeof op);
        Result<> r;
        do
            r = pv::mmuext_op(vcpu, GuestIn<abi32::MmuextOp>(fakes::Machine::guest_base), 1, DOMID_SELF)
                    .status;
        while (!r && r.error() == Error::restart);
        return r;
    }
    Result<> update(Mfn m, unsigned index, Pte value) {
        const mmu_update_t request{(m.v << kPageShift) + index * sizeof(Pte), value.v};
        std::memcpy(machine.guest.data(), &request, sizeof request);
        return pv::mmu_update(vcpu, GuestIn<mmu_update_t>(fakes::Machine::guest_base), 1, DOMID_SELF).status;
    }
    Result<> use_root(Mfn m) { return ext(MMUEXT_NEW_BASEPTR, m.v); }

    Domain domain;
    Vcpu vcpu;
    Mfn root, l2[4], l1, page;
};

TEST_F(Guest32Tables, ARootHasFourEntriesAndNothingElse) {
    ASSERT_TRUE(use_root(root));
    EXPECT_EQ(type_of(root).type(), PageType::l3_pae);
    for (unsigned i = 4; i < kPtesPerTable; i++) ASSERT_EQ(table(root)[i], Pte()) << i;
    for (unsigned i = 0; i < 3; i++) EXPECT_EQ(type_of(l2[i]).type(), PageType::l2) << i;
    EXPECT_EQ(type_of(l2[3]).type(), PageType::l2_top);
    // To the CPU they are entries of a level 3 table, which forbid what they do not allow.
    EXPECT_EQ(table(root)[0], Pte(l2[0], kRw | Pte::kUser));
    const Mfn own = vcpu.pv.kernel_table;
    EXPECT_EQ(table(own)[0].mfn(), root);
    EXPECT_EQ(table(own)[0].flags(), kRw | Pte::kUser | Pte::kAccessed);
    for (unsigned i = 1; i < kPtesPerTable; i++) {
        const Pte expected = i == kFirstHypervisorSlot + 5 ? hypervisor_slots[5] : Pte();
        ASSERT_EQ(table(own)[i], expected) << i;
    }
    EXPECT_EQ(machine.root, own);
    EXPECT_EQ(update(root, 4, Pte(l2[0], Pte::kPresent)).error(), Error::inval);
    EXPECT_EQ(table(root)[4], Pte());
}

TEST_F(Guest32Tables, TheLastGiBHasTheHypervisorsPart) {
    table(l2[3])[kFirstPaeSlot] = Pte(Mfn(3), kRw);
    table(l2[0])[kFirstPaeSlot] = Pte(l1, kRw);
    ASSERT_TRUE(use_root(root));
    EXPECT_EQ(table(l2[3])[kFirstPaeSlot], pae_slots[0]);
    EXPECT_EQ(table(l2[3])[kFirstPaeSlot + 1], Pte());
    EXPECT_EQ(table(l2[0])[kFirstPaeSlot].mfn(), l1) << "elsewhere it is the guest's";
    EXPECT_EQ(update(l2[3], kFirstPaeSlot, Pte(l1, kRw)).error(), Error::inval);
    EXPECT_EQ(update(l2[3], 511, Pte()).error(), Error::inval);
    EXPECT_TRUE(update(l2[3], kFirstPaeSlot - 1, Pte(l1, kRw)));
    // One table cannot be both.
    const Mfn second = new_root();
    table(second)[0] = Pte(l2[3], Pte::kPresent);
    EXPECT_EQ(ext(MMUEXT_PIN_L3_TABLE, second.v).error(), Error::inval);
    EXPECT_EQ(type_of(second).count(), 0u);
    table(second)[0] = Pte();
    table(second)[3] = Pte(l2[3], Pte::kPresent);
    EXPECT_TRUE(ext(MMUEXT_PIN_L3_TABLE, second.v)) << "but it may be the last of two roots";
    EXPECT_TRUE(ext(MMUEXT_UNPIN_TABLE, second.v));
}

TEST_F(Guest32Tables, RightsAreTheGuests) {
    table(l1)[7] = Pte(page, kRo | Pte::kUser | Pte::kGlobal);
    ASSERT_TRUE(use_root(root));
    EXPECT_EQ(table(l1)[6], Pte(page, kRw)) << "ring 1 may, ring 3 may not";
    EXPECT_EQ(table(l1)[7], Pte(page, kRo | Pte::kUser));
    EXPECT_EQ(table(l2[3])[0], Pte(l1, kRw));
    EXPECT_TRUE(update(l1, 8, Pte(page, kRw)));
    EXPECT_EQ(table(l1)[8], Pte(page, kRw));
    EXPECT_EQ(update(l1, 9, Pte(l1, kRw)).error(), Error::busy);
    EXPECT_EQ(update(l2[0], 9, Pte(page, kRw | Pte::kLarge)).error(), Error::inval);
}

TEST_F(Guest32Tables, PinsAndRootsOfItsKind) {
    EXPECT_EQ(ext(MMUEXT_PIN_L4_TABLE, root.v).error(), Error::inval);
    EXPECT_TRUE(ext(MMUEXT_PIN_L3_TABLE, root.v));
    EXPECT_EQ(type_of(root).type(), PageType::l3_pae);
    EXPECT_EQ(ext(MMUEXT_NEW_USER_BASEPTR, root.v).error(), Error::nosys);
    EXPECT_EQ(use_root(l2[0]).error(), Error::inval);
    EXPECT_TRUE(ext(MMUEXT_UNPIN_TABLE, root.v));
    EXPECT_EQ(type_of(root).count(), 0u);
}

TEST_F(Guest32Tables, EverythingIsGivenBack) {
    const u64 free_before = heap_free_frames();
    ASSERT_TRUE(use_root(root));
    const Mfn second = new_root();
    table(second)[3] = Pte(l2[3], Pte::kPresent);
    ASSERT_TRUE(use_root(second));
    EXPECT_EQ(type_of(root).count(), 0u);
    EXPECT_EQ(type_of(l2[3]).count(), 1u);
    machine.preempt = true;
    while (!pv::drop_tables(vcpu)) {}
    machine.preempt = false;
    for (const Mfn m : {root, second, l2[0], l2[3], l1, page}) {
        EXPECT_EQ(type_of(m).count(), 0u) << m.v;
        EXPECT_EQ(refs_of(m), 1u) << m.v;
    }
    EXPECT_EQ(vcpu.pv.kernel_table, kNoMfn);
    EXPECT_EQ(heap_free_frames(), free_before) << "one root made, one page of the hypervisor's freed";
}

TEST_F(Guest32Tables, WalksThroughTheRoot) {
    ASSERT_TRUE(use_root(root));
    const Vaddr va(0xc0000000 + 6 * kPageSize);
    const auto leaf = pv::walk_guest(vcpu, va);
    ASSERT_TRUE(leaf);
    EXPECT_EQ(leaf->entry.mfn(), page);
    EXPECT_FALSE(pv::walk_guest(vcpu, Vaddr(0x100000000 + 6 * kPageSize))) << "4 GiB and beyond is nobody's";
    EXPECT_TRUE(pv::update_va_mapping(vcpu, va, Pte(page, kRo), UVMF_NONE));
    EXPECT_EQ(table(l1)[6], Pte(page, kRo));
}

TEST(Guest32Descriptors, KeepRingOneOutOfLongMode) {
    constexpr u64 kCode0 = 0x00cf9b000000ffff, kCode1 = 0x00cfbb000000ffff, kCode3 = 0x00cffb000000ffff,
                  kData0 = 0x00cf93000000ffff;
    EXPECT_EQ(pv_descriptor32(kCode0), kCode1);
    EXPECT_EQ(pv_descriptor32(kCode1), kCode1);
    EXPECT_EQ(pv_descriptor32(kCode3), kCode3);
    EXPECT_EQ(pv_descriptor32(kData0), kData0 | u64{1} << 45);
    EXPECT_EQ(pv_descriptor32(0x00af9b000000ffff), std::nullopt) << "64-bit code";
    EXPECT_EQ(pv_descriptor32(0x00affb000000ffff), std::nullopt) << "in ring 3, too";
    EXPECT_EQ(pv_descriptor32(0x00ef9b000000ffff), std::nullopt) << "with D as well";
    EXPECT_EQ(pv_descriptor32(0x00eff3000000ffff), 0x00eff3000000ffffu) << "for data the bit means nothing";
    EXPECT_EQ(pv_descriptor32(0x0000ec0000190000), std::nullopt) << "call gate";
    EXPECT_EQ(pv_descriptor32(0x0000890000000067), std::nullopt) << "task state";
    EXPECT_EQ(pv_descriptor32(0x0000820000000067), std::nullopt) << "LDT";
    EXPECT_EQ(pv_descriptor32(0x00af1b000000ffff), 0x00af1b000000ffffu) << "not present";
    EXPECT_EQ(pv_descriptor(kCode0), kCode3);
}

TEST_F(Guest32Tables, DescriptorPagesFollowTheWidth) {
    auto* gdt = port::frame_ptr<u64>(page);
    gdt[1] = 0x00cf9b000000ffff;
    const Mfn frames[] = {page};
    vcpu.pv.gdt_entries = 0;
    ASSERT_TRUE(pv::set_gdt(vcpu, frames, 512));
    EXPECT_EQ(gdt[1], 0x00cfbb000000ffffu);
    EXPECT_EQ(pv::update_descriptor(domain, maddr(page), 0x00afbb000000ffff).error(), Error::inval);
    ASSERT_TRUE(pv::set_gdt(vcpu, {}, 0));
    gdt[2] = 0x00afbb000000ffff;
    EXPECT_EQ(pv::set_gdt(vcpu, frames, 512).error(), Error::inval);
}

}  // namespace
}  // namespace domus
