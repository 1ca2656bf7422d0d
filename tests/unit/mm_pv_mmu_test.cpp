// SPDX-License-Identifier: GPL-2.0-or-later
// The page-table hypercalls of a PV guest, from request lists in guest memory to entries and references.
#include <cstring>
#include <random>
#include <vector>

#include "core/domain.hpp"
#include "fakes/pv_hw.hpp"
#include "mm_fixture.hpp"
#include "pv/ldt.hpp"
#include "pv/mmu.hpp"

namespace domus {
namespace {

constexpr DomId kDom{1}, kOther{2};
constexpr u64 kRw = Pte::kPresent | Pte::kWritable, kRo = Pte::kPresent;

class PvMmu : public MemoryTest {
  protected:
    PvMmu() {
        domain.id = kDom;
        domain.max_vcpus = 12;
        vcpu.domain = &domain;
        vcpu.id = VcpuId(3);
        hypervisor_slots[0] = Pte(Mfn(7), kRo | Pte::kUser);
        hypervisor_slots[1] = Pte(Mfn(8), kRw);
        l4 = new_frame(kDom), l3 = new_frame(kDom), l2 = new_frame(kDom), l1 = new_frame(kDom);
        for (Mfn& p : pages) p = new_frame(kDom);
        table(l4)[0] = Pte(l3, kRw);
        table(l3)[0] = Pte(l2, kRw);
        table(l2)[0] = Pte(l1, kRw);
        table(l1)[6] = Pte(pages[0], kRw);
        EXPECT_TRUE(pv::set_kernel_table(vcpu, l4, false));
    }

    static u64 at(Mfn m, unsigned index) { return (m.v << kPageShift) + index * sizeof(Pte); }
    template <class T>
    GuestIn<T> put(const std::vector<T>& items, u64 offset = 0) {
        std::memcpy(machine.guest.data() + offset, items.data(), items.size() * sizeof(T));
        return GuestIn<T>(fakes::Machine::guest_base + offset);
    }
    pv::MmuProgress update(const std::vector<mmu_update_t>& list, u32 foreign = DOMID_SELF) {
        return pv::mmu_update(vcpu, put(list), static_cast<u32>(list.size()), foreign);
    }
    static mmuext_op_t op(u32 cmd, u64 arg1 = 0, u64 arg2 = 0) {
        mmuext_op_t o{};
        o.cmd = cmd;
        o.arg1.mfn = arg1;
        o.arg2.src_mfn = arg2;
        return o;
    }
    pv::MmuProgress ext(const std::vector<mmuext_op_t>& list, u32 foreign = DOMID_SELF) {
        return pv::mmuext_op(vcpu, put(list), static_cast<u32>(list.size()), foreign);
    }
    Result<> ext1(const mmuext_op_t& o, u32 foreign = DOMID_SELF) {
        Result<> r;
        do r = ext({o}, foreign).status;
        while (!r && r.error() == Error::restart);
        return r;
    }
    // A second address space; its lower half is shared with the first's if `share`.
    Mfn another_root(bool share) {
        const Mfn root = new_frame(kDom);
        if (share) table(root)[0] = Pte(l3, kRw);
        return root;
    }

    Domain domain;
    Vcpu vcpu;
    Mfn l4, l3, l2, l1, pages[4];
};

TEST_F(PvMmu, UpdatesEntriesInOrderAndCounts) {
    const auto r = update({{at(l1, 0), Pte(pages[1], kRw).v},
                           {at(l1, 1), Pte(pages[1], kRo).v},
                           {at(l2, 9), Pte(l1, kRw).v},
                           {at(l1, 2), Pte(l1, kRw).v},  // refused
                           {at(l1, 3), Pte(pages[1], kRo).v}});
    EXPECT_EQ(r.done, 3u);
    EXPECT_EQ(r.status.error(), Error::busy);
    EXPECT_EQ(table(l1)[0], Pte(pages[1], kRw | Pte::kUser));
    EXPECT_EQ(table(l1)[3], Pte());
    EXPECT_EQ(type_of(pages[1]).count(), 1u);
    EXPECT_EQ(refs_of(pages[1]), 3u);
    EXPECT_EQ(type_of(l1).count(), 2u);
    EXPECT_FALSE(type_of(l1).has(TypeWord::kLocked));
}

TEST_F(PvMmu, PreservesAccessedAndDirtyOnRequest) {
    table(l1)[6].v |= Pte::kAccessed | Pte::kDirty;
    EXPECT_TRUE(update({{at(l1, 6) | MMU_PT_UPDATE_PRESERVE_AD, Pte(pages[0], kRo).v}}).status);
    EXPECT_EQ(table(l1)[6].v & 0x62, 0x60u);
    EXPECT_TRUE(update({{at(l1, 6) | MMU_PT_UPDATE_NO_TRANSLATE, Pte(pages[0], kRo).v}}).status);
    EXPECT_EQ(table(l1)[6].v & 0x62, 0u);
}

TEST_F(PvMmu, SetsMachineToPhysicalOfOwnFramesOnly) {
    const Mfn foreign = new_frame(kOther);
    EXPECT_TRUE(update({{(pages[2].v << 12) | MMU_MACHPHYS_UPDATE, 0x1234}}).status);
    EXPECT_EQ(port::m2p_base()[pages[2].v], 0x1234u);
    EXPECT_FALSE(update({{(foreign.v << 12) | MMU_MACHPHYS_UPDATE, 1}}).status);
    EXPECT_FALSE(update({{(u64{1} << 50) | MMU_MACHPHYS_UPDATE, 1}}).status);
    EXPECT_FALSE(update({{MMU_MACHPHYS_UPDATE, 1}}).status);
}

TEST_F(PvMmu, RefusesMalformedRequests) {
    EXPECT_EQ(update({{at(l1, 0) + 4, 0}}).status.error(), Error::inval);
    EXPECT_FALSE(update({{~u64{7}, 0}}).status);
    EXPECT_FALSE(update({{kFrames << 12, 0}}).status);
    EXPECT_FALSE(update({{0, 0}}).status);
    EXPECT_EQ(update({{at(l1, 0), 0}}, 5).status.error(), Error::perm);
    EXPECT_EQ(update({{at(l1, 0), 0}}, DOMID_XEN).status.error(), Error::perm);
    EXPECT_EQ(update({{at(l1, 0), 0}}, (6u << 16) | DOMID_SELF).status.error(), Error::perm);
    EXPECT_TRUE(update({{at(l1, 0), 0}}, (2u << 16) | DOMID_SELF).status);  // its own tables
    // The list ends outside memory: what comes before counts.
    const u64 end = fakes::Machine::guest_base + machine.guest.size();
    const mmu_update_t one{at(l1, 0), Pte(pages[1], kRo).v};
    std::memcpy(machine.guest.data() + machine.guest.size() - sizeof one, &one, sizeof one);
    const auto r = pv::mmu_update(vcpu, GuestIn<mmu_update_t>(end - sizeof one), 0xffffffff, DOMID_SELF);
    EXPECT_EQ(r.done, 1u);
    EXPECT_EQ(r.status.error(), Error::fault);
    EXPECT_EQ(pv::mmu_update(vcpu, GuestIn<mmu_update_t>(0), 0, DOMID_SELF).done, 0u);
}

TEST_F(PvMmu, TablesOfOthersAreOutOfReach) {
    const Mfn foreign = new_frame(kOther);
    ASSERT_TRUE(pin_page(frame_of(foreign), PageType::l1, {.owner = kOther}));
    EXPECT_EQ(update({{at(foreign, 0), 0}}).status.error(), Error::perm);
    EXPECT_FALSE(type_of(foreign).has(TypeWord::kLocked));
    EXPECT_FALSE(ext1(op(MMUEXT_UNPIN_TABLE, foreign.v)));
    EXPECT_FALSE(ext1(op(MMUEXT_PIN_L1_TABLE, foreign.v)));
    EXPECT_FALSE(ext1(op(MMUEXT_CLEAR_PAGE, foreign.v)));
}

TEST_F(PvMmu, WritesPagesThatAreNoTables) {
    EXPECT_TRUE(update({{at(pages[3], 5), 0xabcd}}).status);
    EXPECT_EQ(table(pages[3])[5].v, 0xabcdu);
    EXPECT_EQ(type_of(pages[3]).count(), 0u);
    const Mfn gdt = pages[2];
    ASSERT_TRUE(get_page_type(frame_of(gdt), PageType::descriptors, {.owner = kDom}));
    EXPECT_FALSE(update({{at(gdt, 0), 1}}).status);
}

TEST_F(PvMmu, LongListsArePreempted) {
    std::vector<mmu_update_t> list;
    for (u32 i = 0; i < 400; i++)
        list.push_back({at(l1, 100 + i % 64), Pte(pages[i % 4], i % 3 ? kRo : kRw).v});
    machine.preempt = true;
    u32 done = 0, calls = 0;
    const auto requests = put(list);
    for (;;) {
        const auto r = pv::mmu_update(vcpu, requests.offset(done), 400 - done, DOMID_SELF);
        done += r.done;
        calls++;
        EXPECT_FALSE(type_of(l1).has(TypeWord::kLocked));
        if (r.status) break;
        ASSERT_EQ(r.status.error(), Error::restart);
        ASSERT_GT(r.done, 0u);
    }
    EXPECT_EQ(done, 400u);
    EXPECT_EQ(calls, 7u);
}

TEST_F(PvMmu, AddressSpacesComeAndGo) {
    EXPECT_EQ(type_of(l4).count(), 1u);
    EXPECT_EQ(table(l4)[256], hypervisor_slots[0]);
    const Mfn second = another_root(true);
    ASSERT_TRUE(ext1(op(MMUEXT_PIN_L4_TABLE, second.v)));
    EXPECT_EQ(table(second)[256], Pte());  // not strict: not shown until it is a kernel's
    ASSERT_TRUE(ext1(op(MMUEXT_NEW_BASEPTR, second.v)));
    EXPECT_EQ(machine.root, second);
    EXPECT_EQ(table(second)[256], hypervisor_slots[0]);
    EXPECT_TRUE(type_of(l4).at_rest());
    EXPECT_EQ(type_of(l3).count(), 1u);
    // The same again flushes.
    const u64 loads = machine.root_loads;
    ASSERT_TRUE(ext1(op(MMUEXT_NEW_BASEPTR, second.v)));
    EXPECT_EQ(machine.root_loads, loads + 1);
    EXPECT_EQ(type_of(second).count(), 2u);
    EXPECT_FALSE(ext1(op(MMUEXT_NEW_BASEPTR, l1.v)));
    EXPECT_FALSE(ext1(op(MMUEXT_NEW_BASEPTR, 0)));
    EXPECT_FALSE(ext1(op(MMUEXT_NEW_BASEPTR, ~u64{0})));
    EXPECT_EQ(vcpu.pv.kernel_table, second);

    const Mfn user = another_root(false);
    ASSERT_TRUE(ext1(op(MMUEXT_NEW_USER_BASEPTR, user.v)));
    EXPECT_EQ(table(user)[256], Pte());
    EXPECT_EQ(machine.root, second);
    domain.vm_assist = u64{1} << VMASST_TYPE_m2p_strict;
    ASSERT_TRUE(ext1(op(MMUEXT_NEW_USER_BASEPTR, 0)));
    EXPECT_TRUE(type_of(user).at_rest());
    ASSERT_TRUE(ext1(op(MMUEXT_PIN_L4_TABLE, user.v)));
    EXPECT_EQ(table(user)[256], hypervisor_slots[0]);
    ASSERT_TRUE(ext1(op(MMUEXT_NEW_USER_BASEPTR, user.v)));
    EXPECT_EQ(table(user)[256], Pte());
    ASSERT_TRUE(pv::drop_tables(vcpu));
    ASSERT_TRUE(ext1(op(MMUEXT_UNPIN_TABLE, user.v)));
    ASSERT_TRUE(ext1(op(MMUEXT_UNPIN_TABLE, second.v)));
    for (const Mfn m : {l4, l3, l2, l1, pages[0], second, user}) {
        EXPECT_TRUE(type_of(m).at_rest());
        EXPECT_EQ(refs_of(m), 1u);
    }
}

TEST_F(PvMmu, ReplacedRootIsTakenApartPreemptibly) {
    for (unsigned i = 1; i < 5; i++) {
        const Mfn a = new_frame(kDom), b = new_frame(kDom), c = new_frame(kDom);
        table(a)[0] = Pte(b, kRw), table(b)[0] = Pte(c, kRw);
        ASSERT_TRUE(update({{at(l4, i), Pte(a, kRw).v}}).status);
    }
    const Mfn second = another_root(false);
    machine.preempt = true;
    const auto r = ext({op(MMUEXT_NEW_BASEPTR, second.v)});
    EXPECT_EQ(r.done, 0u);
    EXPECT_EQ(r.status.error(), Error::restart);
    EXPECT_EQ(machine.root, second);  // left before it is taken apart
    EXPECT_EQ(vcpu.pv.retiring_table, l4);
    ASSERT_TRUE(ext1(op(MMUEXT_NEW_BASEPTR, second.v)));
    EXPECT_EQ(vcpu.pv.retiring_table, kNoMfn);
    EXPECT_TRUE(type_of(l1).at_rest());
    EXPECT_EQ(refs_of(l4), 1u);
}

// A replaced table whose taking apart is put off may contain the table of the next request.
TEST_F(PvMmu, RetiringTableAboveTheNextRequestsTable) {
    const Mfn other_l1 = new_frame(kDom);
    ASSERT_TRUE(update({{at(l2, 1), Pte(other_l1, kRw).v}}).status);
    machine.preempt = true;
    const std::vector<mmu_update_t> list{{at(l3, 0), 0}, {at(l2, 5), 0}};
    auto r = update(list);
    EXPECT_EQ(r.done, 1u);
    EXPECT_EQ(r.status.error(), Error::restart);
    EXPECT_EQ(vcpu.pv.retiring_table, l2);
    for (int i = 0; i < 5 && !r.status && r.status.error() == Error::restart; i++) r = update({list[1]});
    EXPECT_TRUE(r.status);  // by then a mere page
    EXPECT_TRUE(type_of(l1).at_rest());
    EXPECT_TRUE(type_of(other_l1).at_rest());
}

TEST_F(PvMmu, UpdateVaMappingFindsTheTable) {
    EXPECT_TRUE(pv::update_va_mapping(vcpu, Vaddr(0x3000), Pte(pages[1], kRw), UVMF_NONE));
    EXPECT_EQ(table(l1)[3], Pte(pages[1], kRw | Pte::kUser));
    EXPECT_EQ(machine.page_flushes + machine.domain_flushes, 0u);
    EXPECT_TRUE(pv::update_va_mapping(vcpu, Vaddr(0x3000), Pte(), UVMF_INVLPG | UVMF_LOCAL));
    EXPECT_EQ(machine.page_flushes, 1u);
    EXPECT_TRUE(pv::update_va_mapping(vcpu, Vaddr(0x3000), Pte(), UVMF_TLB_FLUSH | UVMF_ALL));
    EXPECT_EQ(machine.domain_flushes, 1u);
    machine.guest[0] = 0, machine.guest[1] = 0;  // a bitmap of nobody
    EXPECT_TRUE(
        pv::update_va_mapping(vcpu, Vaddr(0x3000), Pte(), UVMF_TLB_FLUSH | fakes::Machine::guest_base));
    EXPECT_EQ(machine.domain_flushes, 1u);
    EXPECT_EQ(pv::update_va_mapping(vcpu, Vaddr(0x3000), Pte(), UVMF_TLB_FLUSH | 0x8).error(), Error::fault);
    EXPECT_EQ(pv::update_va_mapping(vcpu, Vaddr(0x200000), Pte(), 0).error(), Error::inval);
    EXPECT_EQ(pv::update_va_mapping(vcpu, Vaddr(0xffff800000000000), Pte(), 0).error(), Error::inval);
    EXPECT_EQ(pv::update_va_mapping(vcpu, Vaddr(0x900000000000), Pte(), 0).error(), Error::inval);
    EXPECT_EQ(pv::update_va_mapping(vcpu, Vaddr(0x3000), Pte(l1, kRw), 0).error(), Error::busy);
}

TEST_F(PvMmu, WalksAndWritesLikeTheFaultPath) {
    const auto leaf = pv::walk_guest(vcpu, Vaddr(0x6123));
    ASSERT_TRUE(leaf);
    EXPECT_EQ(leaf->table, l1);
    EXPECT_EQ(leaf->index, 6u);
    EXPECT_EQ(leaf->entry.mfn(), pages[0]);
    EXPECT_EQ(pv::walk_guest(vcpu, Vaddr(0x7000)).error(), Error::fault);
    EXPECT_EQ(pv::walk_guest(vcpu, Vaddr(0x40000000)).error(), Error::fault);
    EXPECT_TRUE(pv::write_pte(vcpu, l1, 7, Pte(pages[1], kRw)));
    EXPECT_EQ(pv::write_pte(vcpu, l2, 7, Pte()).error(), Error::inval);  // only level 1
    EXPECT_EQ(pv::write_pte(vcpu, pages[0], 7, Pte()).error(), Error::inval);
    EXPECT_EQ(pv::write_pte(vcpu, kNoMfn, 7, Pte()).error(), Error::inval);
    const Pte now = table(l1)[7];
    EXPECT_EQ(*pv::exchange_pte(vcpu, l1, 7, now, Pte()), now);
    EXPECT_EQ(table(l1)[7], Pte());
    EXPECT_EQ(refs_of(pages[1]), 1u);
}

TEST_F(PvMmu, FlushesReachWhomTheyMust) {
    ASSERT_TRUE(ext1(op(MMUEXT_TLB_FLUSH_LOCAL)));
    EXPECT_EQ(machine.domain_flushes, 1u);
    ASSERT_TRUE(ext1(op(MMUEXT_TLB_FLUSH_ALL)));
    EXPECT_EQ(machine.domain_flushes, 2u);
    const u64 bitmap = fakes::Machine::guest_base + 0x1000;
    machine.guest[0x1000] = 0, machine.guest[0x1001] = 0;
    ASSERT_TRUE(ext1(op(MMUEXT_TLB_FLUSH_MULTI, 0, bitmap)));
    EXPECT_EQ(machine.domain_flushes, 2u);
    const u32 clock = machine.tlb_clock;
    machine.guest[0x1000] = 1 << 3;  // itself: this CPU only
    ASSERT_TRUE(ext1(op(MMUEXT_TLB_FLUSH_MULTI, 0, bitmap)));
    EXPECT_EQ(machine.domain_flushes, 3u);
    EXPECT_EQ(machine.tlb_clock, clock);
    machine.guest[0x1001] = 1;
    ASSERT_TRUE(ext1(op(MMUEXT_INVLPG_MULTI, 0x5000, bitmap)));
    EXPECT_EQ(machine.page_flushes, 1u);
    ASSERT_TRUE(ext1(op(MMUEXT_INVLPG_LOCAL, 0xffff800000000000)));
    EXPECT_EQ(machine.page_flushes, 1u);
    EXPECT_EQ(ext1(op(MMUEXT_TLB_FLUSH_MULTI, 0, 8)).error(), Error::fault);
    EXPECT_EQ(ext1(op(MMUEXT_FLUSH_CACHE)).error(), Error::access);
    domain.hardware = true;
    EXPECT_TRUE(ext1(op(MMUEXT_FLUSH_CACHE_GLOBAL)));
    EXPECT_EQ(machine.cache_flushes, 2u);
}

TEST_F(PvMmu, WholePages) {
    std::memset(port::frame_ptr(pages[1]), 0x77, kPageSize);
    ASSERT_TRUE(ext1(op(MMUEXT_COPY_PAGE, pages[2].v, pages[1].v)));
    EXPECT_EQ(port::frame_ptr(pages[2])[4095], 0x77);
    ASSERT_TRUE(ext1(op(MMUEXT_CLEAR_PAGE, pages[2].v)));
    EXPECT_EQ(port::frame_ptr(pages[2])[4095], 0);
    EXPECT_FALSE(ext1(op(MMUEXT_CLEAR_PAGE, l1.v)));
    EXPECT_FALSE(ext1(op(MMUEXT_COPY_PAGE, l1.v, pages[1].v)));
    EXPECT_FALSE(ext1(op(MMUEXT_COPY_PAGE, pages[1].v, kFrames)));
    EXPECT_EQ(ext1(op(MMUEXT_MARK_SUPER)).error(), Error::opnotsupp);
    EXPECT_EQ(ext1(op(14)).error(), Error::nosys);
    EXPECT_EQ(ext1(op(99)).error(), Error::nosys);
}

TEST_F(PvMmu, LocalDescriptorTable) {
    table(l1)[0] = Pte();
    ASSERT_TRUE(update({{at(l1, 0), Pte(pages[2], kRo).v}, {at(l1, 1), Pte(pages[3], kRw).v}}).status);
    EXPECT_EQ(ext1(op(MMUEXT_SET_LDT, 0x10, 4)).error(), Error::inval);
    EXPECT_EQ(ext1(op(MMUEXT_SET_LDT, 0, 8193)).error(), Error::inval);
    EXPECT_EQ(ext1(op(MMUEXT_SET_LDT, 0xffff87fffffff000, 4)).error(), Error::inval);
    EXPECT_EQ(ext1(op(MMUEXT_SET_LDT, 0x7ffffffff000, 1024)).error(), Error::inval);
    ASSERT_TRUE(ext1(op(MMUEXT_SET_LDT, 0, 1024)));
    EXPECT_EQ(*pv::ldt_page(vcpu, 0), pages[2]);
    EXPECT_EQ(*pv::ldt_page(vcpu, 0), pages[2]);
    EXPECT_EQ(type_of(pages[2]), TypeWord::of(PageType::descriptors, TypeWord::kValidated, 1));
    EXPECT_EQ(pv::ldt_page(vcpu, 1).error(), Error::inval);  // mapped writable
    EXPECT_EQ(pv::ldt_page(vcpu, 2).error(), Error::fault);
    EXPECT_FALSE(update({{at(l1, 0), Pte(pages[2], kRw).v}}).status);
    ASSERT_TRUE(ext1(op(MMUEXT_SET_LDT, 0, 0)));
    EXPECT_TRUE(update({{at(l1, 0), Pte(pages[2], kRw).v}}).status);
}

// Random requests, interrupted at random; in the end all can be given back.
TEST_F(PvMmu, RandomCalls) {
    std::mt19937 rng(3);
    std::vector<Mfn> frames{l4, l3, l2, l1, pages[0], pages[1], pages[2], pages[3]};
    for (int i = 0; i < 8; i++) frames.push_back(new_frame(kDom));
    const auto any = [&] { return frames[rng() % frames.size()]; };
    u32 good = 0;
    for (int step = 0; step < 20000; step++) {
        machine.preempt_after = rng() % 4;
        if (rng() % 3 == 0) {
            static constexpr u32 kCmds[] = {0, 1, 2, 3, 4, 4, 4, 5, 15, 16, 17, 20};
            const auto r = ext({op(kCmds[rng() % std::size(kCmds)], any().v, any().v), op(4, any().v)});
            good += r.done;
        } else {
            std::vector<mmu_update_t> list;
            for (int i = 0; i < 3; i++) {
                const u64 flags = rng() % 6 == 0 ? 0 : rng() % 2 == 0 ? kRw : kRo;
                list.push_back(
                    {at(any(), rng() % 8 == 0 ? 250 + rng() % 30 : rng() % 8) | (rng() % 4 == 0 ? 2 : 0),
                     Pte(rng() % 3 == 0 ? Mfn(rng() % 5000) : any(), flags).v});
            }
            good += update(list).done;
        }
        for (const Mfn m : frames) ASSERT_FALSE(type_of(m).has(TypeWord::kLocked));
    }
    EXPECT_GT(good, 5000u);
    machine.preempt_after = ~u64{0};
    ASSERT_TRUE(pv::drop_tables(vcpu));
    for (const Mfn m : frames) ASSERT_TRUE(relinquish_page_type(frame_of(m)));
    const u64 before = heap_free_frames();
    for (const Mfn m : frames) {
        EXPECT_EQ(refs_of(m), 1u);
        ASSERT_TRUE(disown_frame(m));
    }
    EXPECT_EQ(heap_free_frames(), before + frames.size());
}

}  // namespace
}  // namespace domus
