// SPDX-License-Identifier: GPL-2.0-or-later
// A PV vCPU's context and its descriptor tables: what is held, what is refused, what is given back.
#include "pv/context.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "core/pages.hpp"
#include "fakes/pv_hw.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "port/memory.hpp"
#include "pv/gdt.hpp"
#include "pv/traps.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

constexpr u64 kNonCanonical = 0x0000800000000000, kKernelAddress = 0xffffffff81000000;
constexpr u64 kCode64 = 0x00af9b000000ffff;  // Linux's kernel code segment

class PvContext : public HypercallTest {
  protected:
    PvContext() {
        fakes::pv_hw = {};
        vcpu.pv.traps = traps;
        fresh.pv.traps = fresh_traps;
    }
    void TearDown() override {
        while (!pv::drop_context(fresh)) {}
        while (!pv::drop_context(vcpu)) {}
        for (const Mfn m : pages) EXPECT_EQ(frame_of(m).refs.load() & kRefCount, 1u) << m.v;
        HypercallTest::TearDown();
    }

    Mfn page() {
        const Mfn m = *core::allocate_pages(domain, 0, {.scrub = true});
        pages.push_back(m);
        return m;
    }
    vcpu_guest_context_t& valid() {
        std::memset(static_cast<void*>(context.get()), 0, sizeof *context);
        vcpu_guest_context_t& c = *context;
        c.flags = VGCF_in_kernel;
        c.user_regs.rip = kKernelAddress;
        c.user_regs.rsp = kKernelAddress + 0x1000;
        c.user_regs.cs = 0x10;
        c.user_regs.ss = 0x18;
        c.user_regs.rflags = 0x1202;
        c.user_regs.rdi = 42;
        c.ctrlreg[3] = xen_pfn_to_cr3(l4.v);
        c.event_callback_eip = kKernelAddress + 0x100;
        c.gs_base_kernel = 0xffff888000000000;
        return c;
    }

    std::vector<Mfn> pages;
    std::unique_ptr<vcpu_guest_context_t> context = std::make_unique<vcpu_guest_context_t>();
    TrapGate traps[pv::kTrapCount], fresh_traps[pv::kTrapCount];
    Vcpu& fresh = *domain.vcpu(VcpuId(1));
    const Mfn l4 = page();
};

TEST_F(PvContext, Installs) {
    vcpu_guest_context_t& c = valid();
    const Mfn gdt = page();
    port::frame_ptr<u64>(gdt)[2] = kCode64;
    c.gdt_frames[0] = gdt.v;
    c.gdt_ents = 3;
    c.trap_ctxt[0] = {.vector = 14, .flags = 4, .cs = 0x10, .address = kKernelAddress + 0x200};
    ASSERT_TRUE(pv::set_context(fresh, c));
    const PvVcpu& pv = fresh.pv;
    EXPECT_EQ(pv.regs.rip, kKernelAddress);
    EXPECT_EQ(pv.regs.rdi, 42u);
    EXPECT_EQ(pv.regs.cs, 0x13u);
    EXPECT_EQ(pv.regs.ss, 0x1bu);
    EXPECT_EQ(pv.regs.rflags, 0x202u);
    EXPECT_EQ(pv.iopl, 1u);
    EXPECT_TRUE(pv.in_kernel);
    EXPECT_EQ(pv.kernel_table, l4);
    EXPECT_EQ(pv.user_table, kNoMfn);
    EXPECT_EQ(pv.gdt_frames[0], gdt);
    EXPECT_EQ(pv.gdt_entries, 3u);
    EXPECT_EQ(pv.event_callback, kKernelAddress + 0x100);
    EXPECT_EQ(pv.traps[14].rip, kKernelAddress + 0x200);
    EXPECT_TRUE(pv.traps[14].masks_events);
    EXPECT_FALSE(pv.traps[0].present());
    EXPECT_EQ(pv.gs_base_kernel, 0xffff888000000000u);
    EXPECT_EQ(pv.cr0 & 0x80000001, 0x80000001u);
    EXPECT_EQ(TypeWord{frame_of(l4).type.load()}.type(), PageType::l4);
    EXPECT_EQ(TypeWord{frame_of(gdt).type.load()}.type(), PageType::descriptors);
    EXPECT_NE(port::frame_ptr<u64>(gdt)[2], kCode64) << "made fit for ring 3";

    // A second context takes the place of the first.
    vcpu_guest_context_t& again = valid();
    again.user_regs.rdi = 43;
    ASSERT_TRUE(pv::set_context(fresh, again));
    EXPECT_EQ(fresh.pv.regs.rdi, 43u);
    EXPECT_EQ(fresh.pv.gdt_entries, 0u);
    EXPECT_EQ(frame_of(gdt).refs.load() & kRefCount, 1u);
}

TEST_F(PvContext, UserModeNeedsItsTable) {
    vcpu_guest_context_t& c = valid();
    c.flags = 0;
    EXPECT_FALSE(pv::set_context(fresh, c));
    const Mfn user = page();
    c.ctrlreg[1] = xen_pfn_to_cr3(user.v);
    ASSERT_TRUE(pv::set_context(fresh, c));
    EXPECT_EQ(fresh.pv.user_table, user);
    EXPECT_FALSE(fresh.pv.in_kernel);
}

// A refused context's page tables may take long to take apart: that, too, is interrupted, and goes on later.
TEST_F(PvContext, ARefusedContextDoesNotKeepTheCpu) {
    // Two level 3 tables below the level 4 table: after the first the CPU is wanted elsewhere.
    const Mfn first = page(), second = page();
    constexpr u64 kRw = Pte::kPresent | Pte::kUser | Pte::kWritable;
    port::frame_ptr<u64>(l4)[0] = Pte(first, kRw).v;
    port::frame_ptr<u64>(l4)[1] = Pte(second, kRw).v;
    vcpu_guest_context_t& c = valid();
    c.ctrlreg[1] = xen_pfn_to_cr3(0xffffff);  // no table for user mode
    machine.preempt = true;
    Result<> r = pv::set_context(fresh, c);
    for (int i = 0; i < 10 && !r && r.error() == Error::restart; i++) r = pv::set_context(fresh, c);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error(), Error::inval);
    EXPECT_EQ(fresh.pv.retiring_table, l4) << "taken apart in one go";
    EXPECT_EQ(fresh.pv.kernel_table, kNoMfn);
    // TearDown() sees that nothing is lost.
}

TEST_F(PvContext, RefusalsLeaveNothingBehind) {
    const auto refused = [&](auto&& spoil) {
        vcpu_guest_context_t& c = valid();
        spoil(c);
        fresh.pv.regs.rdi = 7;
        const Result<> r = pv::set_context(fresh, c);
        EXPECT_FALSE(r);
        EXPECT_EQ(fresh.pv.regs.rdi, 7u);
        EXPECT_EQ(fresh.pv.kernel_table, kNoMfn);
        for (const Mfn m : pages) EXPECT_EQ(frame_of(m).refs.load() & kRefCount, 1u) << m.v;
    };
    refused([](auto& c) { c.user_regs.rip = kNonCanonical; });
    refused([](auto& c) { c.event_callback_eip = kNonCanonical; });
    refused([](auto& c) { c.failsafe_callback_eip = kNonCanonical; });
    refused([](auto& c) { c.syscall_callback_eip = kNonCanonical; });
    refused([](auto& c) { c.fs_base = kNonCanonical; });
    refused([](auto& c) { c.gs_base_kernel = kNonCanonical; });
    refused([](auto& c) { c.gs_base_user = kNonCanonical; });
    refused([](auto& c) { c.trap_ctxt[255].address = kNonCanonical; });
    refused([](auto& c) { c.gdt_ents = pv::kGuestGdtEntries + 1; });
    refused([](auto& c) { c.gdt_ents = ~u64{0}; });
    refused([](auto& c) { c.gdt_ents = 1, c.gdt_frames[0] = ~u64{0}; });
    refused([](auto& c) { c.ldt_ents = 8193; });
    refused([](auto& c) { c.ldt_ents = 1, c.ldt_base = 0x1001; });
    refused([](auto& c) { c.ldt_ents = 1, c.ldt_base = 0xffff830000000000; });
    refused([](auto& c) { c.ctrlreg[3] = ~u64{0}; });
    refused([](auto& c) { c.ctrlreg[3] = 0; });
    // The second page of a table that is no good: the first is given back.
    const Mfn good = page(), bad = page();
    port::frame_ptr<u64>(bad)[1] = 0x00008c0000000000;  // a call gate
    refused([&](auto& c) {
        c.gdt_ents = 1024;
        c.gdt_frames[0] = good.v;
        c.gdt_frames[1] = bad.v;
    });
    // A table in use as something else.
    ASSERT_TRUE(get_writable(frame_of(l4)));
    refused([](auto&) {});
    put_writable(frame_of(l4));
    // A user table that is none.
    refused([](auto& c) { c.ctrlreg[1] = xen_pfn_to_cr3(u64{0xffffff}); });
}

// ---- the hypercalls -----------------------------------------------------------------------------

TEST_F(PvContext, SetGdt) {
    const Mfn a = page(), b = page();
    put(0, std::vector{a.v, b.v});
    EXPECT_EQ(run(__HYPERVISOR_set_gdt, at(0), 1024), 0);
    EXPECT_EQ(vcpu.pv.gdt_entries, 1024u);
    EXPECT_EQ(vcpu.pv.gdt_frames[1], b);
    EXPECT_EQ(fakes::pv_hw.gdt_loads, 1u);
    EXPECT_EQ(run(__HYPERVISOR_set_gdt, at(8), 16), 0);
    EXPECT_EQ(vcpu.pv.gdt_frames[0], b);
    EXPECT_EQ(frame_of(a).refs.load() & kRefCount, 1u);
    // Bad ones leave the old table in force.
    put(0, std::vector{a.v, u64{0xffffffffff}});
    EXPECT_EQ(run(__HYPERVISOR_set_gdt, at(0), 1024), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_set_gdt, at(0), pv::kGuestGdtEntries + 1), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_set_gdt, at(0), ~0u), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_set_gdt, 0xffff830000000000, 1), -EFAULT);
    EXPECT_EQ(vcpu.pv.gdt_frames[0], b);
    EXPECT_EQ(frame_of(a).refs.load() & kRefCount, 1u);
    EXPECT_EQ(run(__HYPERVISOR_set_gdt, 0, 0), 0);
    EXPECT_EQ(vcpu.pv.gdt_entries, 0u);
}

TEST_F(PvContext, UpdateDescriptor) {
    const Mfn table = page(), plain = page();
    put(0, table.v);
    ASSERT_EQ(run(__HYPERVISOR_set_gdt, at(0), 512), 0);
    const auto update = [&](u64 address, u64 descriptor) {
        return run(__HYPERVISOR_update_descriptor, address, descriptor);
    };
    EXPECT_EQ(update(maddr(table).v + 16, kCode64), 0);
    EXPECT_EQ(port::frame_ptr<u64>(table)[2] & u64{3} << 45, u64{3} << 45);
    EXPECT_EQ(update(maddr(plain).v + 4088, kCode64), 0);
    // A page that nothing uses stays plain memory, with every other word as it was.
    constexpr u64 kData = 0x00009200'0000ffff;  // as a descriptor it would get privilege level 3
    port::frame_ptr<u64>(plain)[7] = kData;
    EXPECT_EQ(update(maddr(plain).v + 80, kCode64), 0);
    EXPECT_EQ(port::frame_ptr<u64>(plain)[7], kData);
    EXPECT_EQ(TypeWord{frame_of(plain).type.load()}.type(), PageType::writable);
    EXPECT_EQ(update(maddr(table).v + 4, kCode64), -EINVAL) << "unaligned";
    EXPECT_EQ(update(maddr(table).v + 24, 0x0000ec0000000000), -EINVAL) << "a call gate";
    EXPECT_EQ(port::frame_ptr<u64>(table)[3], 0u);
    EXPECT_EQ(update(0, kCode64), -EINVAL);
    EXPECT_EQ(update(~u64{7}, kCode64), -EINVAL);
    // Page tables are not to be written like this.
    ASSERT_TRUE(pv::set_context(fresh, valid()));
    EXPECT_EQ(update(maddr(l4).v, 0), -EINVAL);
    Domain& other = make_domain(7);
    const Mfn theirs = *core::allocate_pages(other, 0);
    EXPECT_EQ(update(maddr(theirs).v, 0), -EINVAL);
}

}  // namespace
}  // namespace domus::hypercall
