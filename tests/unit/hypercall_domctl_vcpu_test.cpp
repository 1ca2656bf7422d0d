// SPDX-License-Identifier: GPL-2.0-or-later
// domctl's commands on a vCPU's state: contexts given, taken, replaced and refused; vector state; debuggers.
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "core/pages.hpp"
#include "fakes/cpuid.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "mm/write_log.hpp"
#include "port/memory.hpp"
#include "pv/context.hpp"
#include "pv/cpu_policy.hpp"
#include "pv/m2p.hpp"
#include "pv/traps.hpp"
#include "pv/vector_state.hpp"
#include "unit/domctl_fixture.hpp"
#include "unit/pv_cpuid_samples.hpp"

namespace domus::hypercall {
namespace {

constexpr u64 kKernelAddress = 0xffffffff81000000;
constexpr u64 kContextAt = 0x2000;

// A domain with memory, two vCPUs and the production code behind the port.
class DomctlVcpu : public Domctl {
  protected:
    DomctlVcpu() {
        fakes::context.set_context = [](Vcpu& v, const void* c) {
            return pv::set_context(v, *static_cast<const vcpu_guest_context_t*>(c));
        };
        fakes::context.get_context = [](const Vcpu& v, void* c) {
            pv::get_context(v, *static_cast<vcpu_guest_context_t*>(c));
        };
        fakes::context.drop_context = [](Vcpu& v) { return pv::drop_context(v); };
        first.pv.traps = traps;
        second.pv.traps = traps + pv::kTrapCount;
        first.pv.fpu_area = area.data();
        first.pv.fpu_bytes = static_cast<u32>(area.size());
        op.u.max_mem.max_memkb = 400;
        EXPECT_EQ(call(XEN_DOMCTL_max_mem, 9), 0);
        table = page();
    }
    void TearDown() override {
        fakes::cpuid_leaves.clear();
        destroy_by_call(9);
        EXPECT_EQ(core::find_domain(DomId(9)), nullptr);
        Domctl::TearDown();
    }

    Mfn page() { return *core::allocate_pages(d, 0, {.scrub = true}); }
    vcpu_guest_context_t& valid() {
        std::memset(static_cast<void*>(context.get()), 0, sizeof *context);
        vcpu_guest_context_t& c = *context;
        c.flags = VGCF_in_kernel | VGCF_online;
        c.user_regs.rip = kKernelAddress;
        c.user_regs.rsi = 0x1234;
        c.user_regs.cs = 0x10, c.user_regs.ss = 0x18;
        c.ctrlreg[3] = xen_pfn_to_cr3(table.v);
        return c;
    }
    s64 set(u32 id = 0) {
        std::memcpy(&machine.guest.at(kContextAt), context.get(), sizeof *context);
        op.u.vcpucontext.vcpu = id;
        set_handle(op.u.vcpucontext.ctxt, at(kContextAt));
        return call(XEN_DOMCTL_setvcpucontext, 9);
    }
    s64 fetch(u32 id = 0) {
        op.u.vcpucontext.vcpu = id;
        set_handle(op.u.vcpucontext.ctxt, at(kContextAt));
        const s64 result = call(XEN_DOMCTL_getvcpucontext, 9);
        std::memcpy(static_cast<void*>(context.get()), &machine.guest.at(kContextAt), sizeof *context);
        return result;
    }

    std::unique_ptr<vcpu_guest_context_t> context = std::make_unique<vcpu_guest_context_t>();
    std::array<u8, 4096> area{};
    TrapGate traps[2 * pv::kTrapCount];
    Domain& d = *core::find_domain(DomId(create(9, 2, true)));
    Vcpu& first = *d.vcpu(VcpuId(0));
    Vcpu& second = *d.vcpu(VcpuId(1));
    Mfn table;
};

TEST_F(DomctlVcpu, WhatIsSetIsGot) {
    EXPECT_EQ(fetch(), -ENODATA);
    const Mfn user = page(), gdt = page();
    vcpu_guest_context_t& c = valid();
    c.ctrlreg[1] = xen_pfn_to_cr3(user.v);
    c.ctrlreg[4] = u64{1} << 18;
    c.gdt_frames[0] = gdt.v, c.gdt_ents = 8;
    c.ldt_base = 0x5000, c.ldt_ents = 16;
    c.user_regs.rflags = 0x3202;
    c.user_regs.ds = 0x2b;
    c.trap_ctxt[3] = {.vector = 14, .flags = 5, .cs = 0x10, .address = kKernelAddress + 0x200};
    c.kernel_ss = 0x18, c.kernel_sp = kKernelAddress + 0x3000;
    c.event_callback_eip = kKernelAddress + 1;
    c.failsafe_callback_eip = kKernelAddress + 2;
    c.syscall_callback_eip = kKernelAddress + 3;
    c.flags |= VGCF_syscall_disables_events | VGCF_i387_valid;
    c.fpu_ctxt.x[100] = 77;
    c.fs_base = 1, c.gs_base_kernel = 2, c.gs_base_user = 3;
    c.debugreg[0] = 0x1000;
    c.vm_assist = u64{1} << VMASST_TYPE_writable_pagetables | u64{1} << 63;
    const auto given = std::make_unique<vcpu_guest_context_t>(c);
    ASSERT_EQ(set(), 0);
    EXPECT_TRUE(first.initialised.load() && first.online.load());
    EXPECT_EQ(first.pause_count.load(), 0u);
    EXPECT_EQ(d.vm_assist, u64{1} << VMASST_TYPE_writable_pagetables);

    ASSERT_EQ(fetch(), 0);
    EXPECT_EQ(c.flags, given->flags);
    EXPECT_EQ(c.user_regs.rip, given->user_regs.rip);
    EXPECT_EQ(c.user_regs.rsi, given->user_regs.rsi);
    EXPECT_EQ(c.user_regs.cs, 0x13u);
    EXPECT_EQ(c.user_regs.ds, 0x2b);
    EXPECT_EQ(c.user_regs.rflags, given->user_regs.rflags);
    EXPECT_EQ(c.ctrlreg[1], given->ctrlreg[1]);
    EXPECT_EQ(c.ctrlreg[3], given->ctrlreg[3]);
    EXPECT_EQ(c.ctrlreg[4], given->ctrlreg[4]);
    EXPECT_EQ(c.gdt_frames[0], gdt.v);
    EXPECT_EQ(c.gdt_ents, 8u);
    EXPECT_EQ(c.ldt_base, 0x5000u);
    EXPECT_EQ(c.ldt_ents, 16u);
    EXPECT_EQ(c.trap_ctxt[14].vector, 14);
    EXPECT_EQ(c.trap_ctxt[14].flags, 5);
    EXPECT_EQ(c.trap_ctxt[14].address, kKernelAddress + 0x200);
    EXPECT_EQ(c.trap_ctxt[3].address, 0u);
    EXPECT_EQ(c.kernel_sp, given->kernel_sp);
    EXPECT_EQ(c.event_callback_eip, given->event_callback_eip);
    EXPECT_EQ(c.failsafe_callback_eip, given->failsafe_callback_eip);
    EXPECT_EQ(c.syscall_callback_eip, given->syscall_callback_eip);
    EXPECT_EQ(c.fpu_ctxt.x[100], 77);
    EXPECT_EQ(c.fs_base, 1u);
    EXPECT_EQ(c.gs_base_kernel, 2u);
    EXPECT_EQ(c.gs_base_user, 3u);
    EXPECT_EQ(c.debugreg[0], 0x1000u);
    EXPECT_EQ(c.vm_assist, d.vm_assist);
    // And what was got can be set: nothing is lost or refused on a way through a toolstack.
    ASSERT_EQ(set(), 0);
    const auto again = std::make_unique<vcpu_guest_context_t>(c);
    ASSERT_EQ(fetch(), 0);
    EXPECT_EQ(std::memcmp(static_cast<void*>(context.get()), again.get(), sizeof c), 0);
}

TEST_F(DomctlVcpu, ARefusedContextChangesNothing) {
    valid();
    ASSERT_EQ(set(), 0);
    valid().user_regs.rip = 0x0000800000000000;
    EXPECT_EQ(set(), -EINVAL);
    valid().ctrlreg[3] = xen_pfn_to_cr3(domain.shared_mfn.v);  // somebody else's
    EXPECT_EQ(set(), -EINVAL);
    valid().gdt_frames[0] = table.v;
    context->gdt_ents = 1;
    EXPECT_EQ(set(), -EINVAL);
    EXPECT_EQ(first.pv.kernel_table, table);
    EXPECT_TRUE(first.initialised.load());
    EXPECT_EQ(first.pause_count.load(), 0u);
    op.u.vcpucontext.vcpu = 2;
    EXPECT_EQ(call(XEN_DOMCTL_setvcpucontext, 9), -ESRCH);
    EXPECT_EQ(call(XEN_DOMCTL_setvcpucontext, 0), -EINVAL);
    op.u.vcpucontext.vcpu = 0;
    set_handle(op.u.vcpucontext.ctxt, kBadAddresses[1]);
    EXPECT_EQ(call(XEN_DOMCTL_setvcpucontext, 9), -EFAULT);
}

TEST_F(DomctlVcpu, AVcpuThatIsNotOnlineStaysDown) {
    valid().flags &= ~u64{VGCF_online};
    ASSERT_EQ(set(1), 0);
    EXPECT_TRUE(second.initialised.load());
    EXPECT_FALSE(second.online.load());
    ASSERT_EQ(fetch(1), 0);
    EXPECT_EQ(context->flags & VGCF_online, 0u);
}

TEST_F(DomctlVcpu, AContextCanBeTakenAway) {
    valid();
    ASSERT_EQ(set(), 0);
    op.u.vcpucontext.vcpu = 0;
    set_handle(op.u.vcpucontext.ctxt, 0);
    ASSERT_EQ(call(XEN_DOMCTL_setvcpucontext, 9), 0);
    EXPECT_FALSE(first.initialised.load() || first.online.load());
    EXPECT_EQ(first.pv.kernel_table, kNoMfn);
    EXPECT_EQ(frame_of(table).refs.load() & kRefCount, 1u);
}

// A context that is half replaced must not run: the vCPU counts as without one until the call has ended.
TEST_F(DomctlVcpu, DoesNotRunWithHalfAContext) {
    valid();
    ASSERT_EQ(set(), 0);
    bool asked = false;
    fakes::context.set_context = [&](Vcpu& v, const void* c) -> Result<> {
        EXPECT_FALSE(v.initialised.load());
        if (!std::exchange(asked, true)) return fail(Error::restart);
        return pv::set_context(v, *static_cast<const vcpu_guest_context_t*>(c));
    };
    valid();
    ASSERT_EQ(set(), 0);
    EXPECT_EQ(again_count, 1u);
    EXPECT_TRUE(first.initialised.load());
}

TEST_F(DomctlVcpu, VectorStateTravels) {
    // No XSAVE: nothing to save.
    op.u.vcpuextstate = {};
    ASSERT_EQ(call(XEN_DOMCTL_getvcpuextstate, 9), 0);
    EXPECT_EQ(op.u.vcpuextstate.size, 0u);

    for (const samples::Leaf& l : samples::kMaxRaw)
        fakes::cpuid_leaves[{l.leaf, l.subleaf}] = {l.eax, l.ebx, l.ecx, l.edx};
    fakes::cpuid_leaves[{0xd, 0}] = {.eax = 7, .ebx = 576, .ecx = 832};
    fakes::cpuid_leaves[{0xd, 2}] = {.eax = 256, .ebx = 576};
    pv::init_cpu_policies({.xsave = true});
    first.pv.xcr0 = 7;
    area[512] = 7, area[600] = 99;
    op.u.vcpuextstate = {};
    ASSERT_EQ(call(XEN_DOMCTL_getvcpuextstate, 9), 0);
    EXPECT_EQ(op.u.vcpuextstate.size, 16u + 832u);
    EXPECT_EQ(op.u.vcpuextstate.xfeature_mask, 7u);
    set_handle(op.u.vcpuextstate.buffer, at(0x4000));
    ASSERT_EQ(call(XEN_DOMCTL_getvcpuextstate, 9), 0);
    EXPECT_EQ(get<u64>(0x4000), 7u);
    EXPECT_EQ(get<u64>(0x4008), 7u);
    EXPECT_EQ(get<u8>(0x4010 + 600), 99);
    op.u.vcpuextstate.size = 100;
    EXPECT_EQ(call(XEN_DOMCTL_getvcpuextstate, 9), -EINVAL);

    area = {};
    first.pv.xcr0 = 1;
    const auto give = [&](u64 size = 16 + 832) {
        op.u.vcpuextstate.vcpu = 0;
        op.u.vcpuextstate.size = size;
        set_handle(op.u.vcpuextstate.buffer, at(0x4000));
        return call(XEN_DOMCTL_setvcpuextstate, 9);
    };
    EXPECT_EQ(give(15), -EINVAL);
    EXPECT_EQ(give(16 + 833), -EINVAL);
    EXPECT_EQ(give(16 + 576), -EINVAL);  // too small for the components it says
    put(0x4000, u64{4});                 // XCR0 without x87
    EXPECT_EQ(give(), -EINVAL);
    put(0x4000, u64{15});  // a component that there is not
    EXPECT_EQ(give(), -EINVAL);
    put(0x4000, u64{7});
    put(0x4010 + 520, u64{1} << 63);  // compacted
    EXPECT_EQ(give(), -EINVAL);
    put(0x4010 + 520, u64{0});
    put(0x4010 + 528, u64{1});  // reserved
    EXPECT_EQ(give(), -EINVAL);
    put(0x4010 + 528, u64{0});
    EXPECT_EQ(area[600], 0);
    put(0x4010 + 24, ~u32{0});  // MXCSR bits that would fault
    EXPECT_EQ(give(), 0);
    EXPECT_EQ(first.pv.xcr0, 7u);
    EXPECT_EQ(area[600], 99);
    EXPECT_EQ(area[24], 0xff) << "denormals-are-zeros among them";
    EXPECT_EQ(area[26], 0);
    fakes::cpuid_leaves.clear();
    pv::init_cpu_policies({});
}

// A processor without XSAVE has areas of 512 bytes; what lies behind belongs to somebody else.
TEST_F(DomctlVcpu, AreasOfFxsaveHaveNoHeader) {
    const auto small = std::make_unique<std::array<u8, 512>>();
    first.pv.fpu_area = small->data();
    first.pv.fpu_bytes = static_cast<u32>(small->size());
    vcpu_guest_context_t& c = valid();
    c.flags |= VGCF_i387_valid;
    c.fpu_ctxt.x[100] = 77;
    c.fpu_ctxt.x[24] = static_cast<char>(0xc0);  // MXCSR: denormals-are-zeros, an exception masked
    c.fpu_ctxt.x[26] = 1;                        // reserved
    ASSERT_EQ(set(), 0);
    EXPECT_EQ((*small)[100], 77);
    EXPECT_EQ((*small)[24], 0xc0);
    EXPECT_EQ((*small)[26], 0);
    op.u.vcpuextstate = {};
    EXPECT_EQ(call(XEN_DOMCTL_getvcpuextstate, 9), 0);
    EXPECT_EQ(op.u.vcpuextstate.size, 0u);
    // Nor does the toolstack's image find more room than there is, whatever the policy says.
    for (const samples::Leaf& l : samples::kMaxRaw)
        fakes::cpuid_leaves[{l.leaf, l.subleaf}] = {l.eax, l.ebx, l.ecx, l.edx};
    pv::init_cpu_policies({.xsave = true});
    std::vector<u8> image(576);
    EXPECT_ERROR(pv::set_vector_area(first, 3, 3, image), inval);
    first.pv.fpu_area = area.data(), first.pv.fpu_bytes = static_cast<u32>(area.size());
    EXPECT_TRUE(pv::set_vector_area(first, 3, 3, image));
    fakes::cpuid_leaves.clear();
    pv::init_cpu_policies({});
}

TEST_F(DomctlVcpu, TheExtendedContextHasTheEntriesOf32BitCalls) {
    auto& ext = op.u.ext_vcpucontext;
    second.pv.syscall32_callback = 7;
    second.pv.sysenter_callback = 8;
    second.pv.sysenter_masks_events = true;
    ext.vcpu = 1;
    ASSERT_EQ(call(XEN_DOMCTL_get_ext_vcpucontext, 9), 0);
    EXPECT_EQ(ext.size, sizeof ext);
    EXPECT_EQ(ext.syscall32_callback_eip, 7u);
    EXPECT_EQ(ext.sysenter_callback_eip, 8u);
    EXPECT_EQ(ext.syscall32_disables_events, 0);
    EXPECT_EQ(ext.sysenter_disables_events, 1);
    ext.vcpu = 0;
    EXPECT_EQ(call(XEN_DOMCTL_set_ext_vcpucontext, 9), 0);
    EXPECT_EQ(first.pv.syscall32_callback, 7u);
    EXPECT_EQ(first.pv.sysenter_callback, 8u);
    EXPECT_TRUE(first.pv.sysenter_masks_events);
    ext.sysenter_callback_eip = 0x0000800000000000;
    EXPECT_EQ(call(XEN_DOMCTL_set_ext_vcpucontext, 9), -EINVAL);
    EXPECT_EQ(first.pv.sysenter_callback, 8u);
    ext = {};
    EXPECT_EQ(call(XEN_DOMCTL_set_ext_vcpucontext, 9), -EINVAL);  // too small
    ext.vcpu = 2;
    EXPECT_EQ(call(XEN_DOMCTL_get_ext_vcpucontext, 9), -ESRCH);
}

TEST_F(DomctlVcpu, TheExtendedContextOf32BitGuestsHasTheSegments) {
    Domain& d = *core::find_domain(DomId(9));
    d.is_32bit = true;
    auto& ext = op.u.ext_vcpucontext;
    ext.vcpu = 1;
    ASSERT_EQ(call(XEN_DOMCTL_get_ext_vcpucontext, 9), 0);
    EXPECT_EQ(ext.sysenter_callback_cs, 0u);
    ext.sysenter_callback_cs = 0x60;  // ring 0 asked for: ring 1 it is
    ext.syscall32_callback_cs = 0x71;
    ASSERT_EQ(call(XEN_DOMCTL_set_ext_vcpucontext, 9), 0);
    ASSERT_EQ(call(XEN_DOMCTL_get_ext_vcpucontext, 9), 0);
    EXPECT_EQ(ext.sysenter_callback_cs, 0x61u);
    EXPECT_EQ(ext.syscall32_callback_cs, 0x71u);
    d.is_32bit = false;
}

TEST_F(DomctlVcpu, TheDirtyLogOf32BitGuestsIsRefused) {
    op.u.shadow_op = {};
    op.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
    core::find_domain(DomId(9))->is_32bit = true;
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), -EOPNOTSUPP);
    core::find_domain(DomId(9))->is_32bit = false;
}

TEST_F(DomctlVcpu, TheDirtyLogIsExactAndPreemptible) {
    auto& shadow = op.u.shadow_op;
    shadow = {};
    shadow.op = XEN_DOMCTL_SHADOW_OP_CLEAN;
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), -EINVAL);
    shadow.op = XEN_DOMCTL_SHADOW_OP_ENABLE;
    shadow.mode = XEN_DOMCTL_SHADOW_ENABLE_TRANSLATE;
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), -EINVAL);
    shadow.op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
    machine.preempt = true;
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), 0);
    EXPECT_GE(again_count, 4u);
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), -EINVAL);
    pv::set_m2p(table, 8201);
    shadow.op = XEN_DOMCTL_SHADOW_OP_PEEK;
    shadow.pages = 8203;
    set_handle(shadow.dirty_bitmap, at(0x4000));
    const auto expect = [&](bool dirty) {
        put(0x4000 + 1024, u64{0x5555555555555555});
        again_count = 0;
        ASSERT_EQ(call(XEN_DOMCTL_shadow_op, 9), 0);
        EXPECT_GE(again_count, 4u);
        EXPECT_EQ(shadow.pages, 8203u);
        EXPECT_EQ(shadow.stats.dirty_count, dirty ? 1u : 0u);
        EXPECT_EQ(shadow.mb, 0u);
        const auto bytes = get<u8>(0x4000, 1027);
        for (usize i = 0; i < 1025; i++) ASSERT_EQ(bytes[i], 0) << i;
        EXPECT_EQ(bytes[1025], dirty ? 2 : 0);
        EXPECT_EQ(bytes[1026], 0x55) << "beyond the bitmap";
    };
    expect(true);
    shadow.op = XEN_DOMCTL_SHADOW_OP_CLEAN;
    // What the toolstack could not be told stays.
    set_handle(shadow.dirty_bitmap, u64{0x10});
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), -EFAULT);
    set_handle(shadow.dirty_bitmap, at(0x4000));
    shadow.mb = 0;
    expect(true);
    expect(false);
    note_written(frame_of(table));
    expect(true);
    // Pages that have no bit.
    shadow.pages = 1 << 20;
    set_handle(shadow.dirty_bitmap, u64{0});
    ASSERT_EQ(call(XEN_DOMCTL_shadow_op, 9), 0);
    EXPECT_EQ(shadow.stats.dirty_count, (1u << 20) - d.dirty_log.limit());
    machine.preempt = false;
    shadow.op = XEN_DOMCTL_SHADOW_OP_OFF;
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), 0);
    shadow.op = XEN_DOMCTL_SHADOW_OP_PEEK;
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), -EINVAL);
    shadow.op = XEN_DOMCTL_SHADOW_OP_OFF;
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 0), -EINVAL);
}

TEST_F(DomctlVcpu, WithoutMemoryTheDirtyLogIsWhole) {
    auto& shadow = op.u.shadow_op;
    shadow = {};
    shadow.op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
    heap_fail_after(5);
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), 0);
    EXPECT_FALSE(d.dirty_log.on());
    shadow.op = XEN_DOMCTL_SHADOW_OP_CLEAN;
    shadow.pages = 8203;
    set_handle(shadow.dirty_bitmap, at(0x4000));
    ASSERT_EQ(call(XEN_DOMCTL_shadow_op, 9), 0);
    EXPECT_EQ(shadow.stats.dirty_count, 8203u);
    const auto bytes = get<u8>(0x4000, 1026);
    for (usize i = 0; i < 1025; i++) ASSERT_EQ(bytes[i], 0xff) << i;
    EXPECT_EQ(bytes[1025], 7);
    shadow.op = XEN_DOMCTL_SHADOW_OP_OFF;
    EXPECT_EQ(call(XEN_DOMCTL_shadow_op, 9), 0);
}

TEST_F(DomctlVcpu, DebuggersReadAndWriteByTheGuestsAddresses) {
    const Mfn l3 = page(), l2 = page(), l1 = page(), data = page();
    constexpr u64 kFlags = Pte::kPresent | Pte::kWritable | Pte::kUser;
    *port::frame_ptr<Pte>(table) = Pte(l3, kFlags);
    *port::frame_ptr<Pte>(l3) = Pte(l2, kFlags);
    *port::frame_ptr<Pte>(l2) = Pte(l1, kFlags);
    port::frame_ptr<Pte>(l1)[5] = Pte(data, kFlags);
    port::frame_ptr<Pte>(l1)[7] = Pte(l1, Pte::kPresent | Pte::kUser);
    valid();
    ASSERT_EQ(set(), 0);
    std::memcpy(port::frame_ptr<u8>(data) + 0xffc, "abcd", 4);
    auto& io = op.u.gdbsx_guest_memio;
    io = {};
    io.gva = 0x5ffc, io.uva = at(0x4000), io.len = 8;
    EXPECT_EQ(call(XEN_DOMCTL_gdbsx_guestmemio, 9), 0);
    EXPECT_EQ(io.remain, 4u);  // the next page is not there
    EXPECT_EQ(std::memcmp(&machine.guest.at(0x4000), "abcd", 4), 0);
    put(0x4000, u32{0x11223344});
    io = {.pgd3val = 0, .gva = 0x5010, .uva = at(0x4000), .len = 4, .gwr = 1, .remain = 0};
    EXPECT_EQ(call(XEN_DOMCTL_gdbsx_guestmemio, 9), 0);
    EXPECT_EQ(io.remain, 0u);
    EXPECT_EQ(port::frame_ptr<u32>(data)[4], 0x11223344u);
    // Not even a debugger writes what the CPU trusts.
    io = {.pgd3val = 0, .gva = 0x7000, .uva = at(0x4000), .len = 4, .gwr = 1, .remain = 0};
    EXPECT_EQ(call(XEN_DOMCTL_gdbsx_guestmemio, 9), -EFAULT);
    io = {.pgd3val = 0, .gva = 0xffff800000000000, .uva = at(0x4000), .len = 4, .gwr = 0, .remain = 0};
    EXPECT_EQ(call(XEN_DOMCTL_gdbsx_guestmemio, 9), -EFAULT);

    op.u.gdbsx_pauseunp_vcpu.vcpu = 0;
    EXPECT_EQ(call(XEN_DOMCTL_gdbsx_unpausevcpu, 9), -EINVAL);
    EXPECT_EQ(call(XEN_DOMCTL_gdbsx_pausevcpu, 9), 0);
    EXPECT_EQ(call(XEN_DOMCTL_gdbsx_pausevcpu, 9), -EBUSY);
    EXPECT_EQ(first.pause_count.load(), 1u);
    EXPECT_EQ(call(XEN_DOMCTL_gdbsx_unpausevcpu, 9), 0);
    EXPECT_EQ(first.pause_count.load(), 0u);
    op.u.setdebugging.enable = 1;
    EXPECT_EQ(call(XEN_DOMCTL_setdebugging, 9), 0);
    ASSERT_EQ(call(XEN_DOMCTL_getdomaininfo, 9), 0);
    EXPECT_NE(op.u.getdomaininfo.flags & XEN_DOMINF_debugged, 0u);
    ASSERT_EQ(call(XEN_DOMCTL_gdbsx_domstatus, 9), 0);
    EXPECT_EQ(op.u.gdbsx_domstatus.paused, 1);
}

}  // namespace
}  // namespace domus::hypercall
