// SPDX-License-Identifier: GPL-2.0-or-later
// What a 32-bit PV kernel sees of the CPU: its frames, its iret, its exceptions, its whole context.
#include <cstring>
#include <initializer_list>
#include <memory>
#include <vector>

#include "abi/xen32.hpp"
#include "core/pages.hpp"
#include "fakes/pv_hw.hpp"
#include "mm/page_type.hpp"
#include "port/guest_entry.hpp"
#include "pv/bounce.hpp"
#include "pv/context.hpp"
#include "pv/context32.hpp"
#include "pv/emulate.hpp"
#include "pv/gdt.hpp"
#include "pv/guest_cr2.hpp"
#include "pv/iret.hpp"
#include "pv/traps.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus {
namespace {

using hypercall::HypercallTest;

class Guest32Machine : public HypercallTest {
  protected:
    Guest32Machine() {
        fakes::pv_hw = {};
        EXPECT_TRUE(core::make_32bit(guest));
        v.pv.traps = gates.data();
        v.pv.kernel_ss = abi32::kKernelDs;
        v.pv.kernel_sp = kStack;
        v.pv.iopl = 1;
        regs = {};
        regs.rip = 0xc0101234;
        regs.cs = abi32::kKernelCs;
        regs.ss = abi32::kKernelDs;
        regs.rsp = kStack - 0x100;
        regs.rflags = kFlagFixed | kFlagIf | kFlagTf | kFlagDf | kFlagNt;
        regs.rax = 0x11, regs.rcx = 0x22, regs.r11 = 0x33;
    }
    ~Guest32Machine() override { v.pv.traps = own_gates; }
    void in_user() {
        regs.cs = abi32::kUserCs;
        regs.ss = abi32::kUserDs;
        regs.rsp = 0x8048000;
    }
    // The words on the guest's stack now.
    std::vector<u32> stack(usize n) { return get<u32>(regs.rsp - fakes::Machine::guest_base, n); }

    static constexpr u64 kStack = fakes::Machine::guest_base + 0x8000;
    Domain& guest = make_domain(7, 2);
    Vcpu& v = *guest.vcpu(VcpuId(0));
    TrapGate* own_gates = v.pv.traps;
    std::array<TrapGate, 256> gates{};
};

TEST_F(Guest32Machine, InnerFrame) {
    v.info->evtchn_upcall_mask = 0;
    pv::bounce(v, regs, {.rip = 0xc0200000, .cs = 0x61, .masks_events = true, .error_code = 0xee});
    EXPECT_EQ(regs.rsp, kStack - 0x100 - 16);
    const u32 flags = (1u << 1) | (1u << 9) | (1u << 8) | (1u << 10) | (1u << 14) | (1u << 12);
    EXPECT_EQ(stack(4), (std::vector<u32>{0xee, 0xc0101234, abi32::kKernelCs, flags}));
    EXPECT_EQ(regs.rip, 0xc0200000u);
    EXPECT_EQ(regs.cs, 0x61u);
    EXPECT_EQ(regs.ss, abi32::kKernelDs);
    EXPECT_EQ(regs.rflags & (kFlagTf | kFlagNt | kFlagIopl | kFlagIf), kFlagIf);
    EXPECT_EQ(v.info->evtchn_upcall_mask, 1u);
    EXPECT_EQ(regs.rcx, 0x22u);
}

TEST_F(Guest32Machine, OuterFrame) {
    in_user();
    v.info->evtchn_upcall_mask = 1;
    pv::bounce(v, regs, {.rip = 0xc0200000});
    EXPECT_EQ(regs.rsp, kStack - 20);
    const auto words = stack(5);
    EXPECT_EQ(words[0], 0xc0101234u);
    EXPECT_EQ(words[1], abi32::kUserCs | 1u << 16) << "the mask is in the third byte";
    EXPECT_EQ(words[2] & (1u << 9), 0u) << "masked";
    EXPECT_EQ(words[3], 0x8048000u);
    EXPECT_EQ(words[4], abi32::kUserDs);
    EXPECT_EQ(regs.cs, abi32::kKernelCs);
    EXPECT_EQ(regs.ss, abi32::kKernelDs);
    EXPECT_TRUE(v.pv.in_kernel);
    EXPECT_EQ(fakes::pv_hw.user_entries, 0u) << "one address space";
}

TEST_F(Guest32Machine, FailsafeFrame) {
    v.pv.failsafe_callback = 0xc0300000;
    v.pv.ds = 0x7b, v.pv.es = 0x7c, v.pv.fs = 0x7d, v.pv.gs = 0x7e;
    upcall::guest_failsafe(v, regs);
    const auto words = stack(5);
    EXPECT_EQ(std::vector<u32>(words.begin(), words.begin() + 4), (std::vector<u32>{0x7b, 0x7c, 0x7d, 0x7e}));
    EXPECT_EQ(words[4], 0xc0101234u);
    EXPECT_FALSE(guest.shutting_down.load());
    // It cannot be entered itself: no third attempt, no endless loop.
    upcall::guest_failsafe(v, regs);
    EXPECT_NE(fakes::pv_hw.crashes, 0u);
}

TEST_F(Guest32Machine, AProgramAtTheHandlersOffsetIsNotTheHandler) {
    v.pv.failsafe_callback = 0xc0300000;
    in_user();
    regs.rip = v.pv.failsafe_callback;  // by a segment of its own
    upcall::guest_failsafe(v, regs);
    EXPECT_EQ(fakes::pv_hw.crashes, 0u);
    EXPECT_EQ(regs.cs & 3, 1u);
}

// One address space holds kernel and programs, and our copies would reach the kernel's part.
TEST_F(Guest32Machine, ProgramsHaveNoStringInput) {
    constexpr u64 kCode = 0x100, kTarget = 0x200;
    constexpr u8 kInsd[] = {0x6d};
    put(kCode, kInsd);
    const auto attempt = [&] {
        put(kTarget, u32{0x12345678});
        regs.rip = fakes::Machine::guest_base + kCode;
        regs.rdi = fakes::Machine::guest_base + kTarget;
        regs.rdx = 0x80;
        regs.rflags = kFlagFixed;
        v.pv.iopl = 3;
        v.pv.in_kernel = (regs.cs & 3) == 1;
        return pv::emulate_privileged(v, regs).action;
    };
    EXPECT_EQ(attempt(), pv::EmulateResult::Action::done);
    EXPECT_NE(get<u32>(kTarget), 0x12345678u);
    in_user();
    EXPECT_EQ(attempt(), pv::EmulateResult::Action::inject);
    EXPECT_EQ(get<u32>(kTarget), 0x12345678u);
}

TEST_F(Guest32Machine, TheNmiGateNamesItsSegment) {
    ASSERT_TRUE(pv::set_trap(v.pv, {.vector = 2, .flags = 0, .cs = 0x51, .address = 0xc0400000}));
    EXPECT_EQ(v.pv.nmi_callback, 0xc0400000u);
    EXPECT_EQ(v.pv.nmi_cs, 0x51u);
    pv::clear_traps(v.pv);
    EXPECT_EQ(v.pv.nmi_callback, 0u);
    EXPECT_EQ(v.pv.nmi_cs, 0u);
}

TEST_F(Guest32Machine, NoStackNoHandler) {
    regs.rsp = 8;
    pv::bounce(v, regs, {.rip = 0xc0200000});
    EXPECT_EQ(fakes::pv_hw.crashes, 1u);
    pv::inject_trap(v, regs, 6, std::nullopt);
    EXPECT_EQ(fakes::pv_hw.crashes, 2u);
}

TEST_F(Guest32Machine, PageFaultsTellTheRing) {
    gates[14] = {.rip = 0xc0200000, .cs = 0xe019};
    regs.vector = 14;
    regs.error_code = kPfWrite;
    upcall::guest_trap(v, regs, 0xdeadbeef);
    EXPECT_EQ(stack(1)[0], kPfWrite);
    EXPECT_EQ(pv::guest_cr2(v), 0xdeadbeefu);
    EXPECT_EQ(reinterpret_cast<vcpu_info_x86_32*>(v.info)->arch.cr2, 0xdeadbeefu);
    in_user();
    regs.vector = 14;
    regs.error_code = kPfWrite | kPfUser;
    upcall::guest_trap(v, regs, 0x1000);
    EXPECT_EQ(stack(1)[0], kPfWrite | kPfUser);
}

TEST_F(Guest32Machine, SoftwareInterruptsAskTheRing) {
    const u8 code[] = {0xcd, 0x21};
    std::memcpy(&machine.guest.at(0x100), code, sizeof code);
    gates[0x21] = {.rip = 0xc0200000, .cs = 0xe019, .dpl = 1};
    gates[13] = {.rip = 0xc0300000, .cs = 0xe019};
    const auto raise = [&] {
        regs.rip = at(0x100);
        regs.vector = 13;
        regs.error_code = 0x21 * 8 + 2;
        upcall::guest_trap(v, regs, 0);
    };
    raise();
    EXPECT_EQ(regs.rip, 0xc0200000u);
    EXPECT_EQ(stack(1)[0], at(0x102));
    in_user();
    raise();
    EXPECT_EQ(regs.rip, 0xc0300000u) << "ring 3 may not";
}

TEST_F(Guest32Machine, HypercallsComeByInterrupt) {
    regs.vector = 0x82;
    regs.rax = __HYPERVISOR_xen_version;
    regs.rbx = XENVER_version;
    upcall::guest_trap(v, regs, 0);
    EXPECT_EQ(regs.rax >> 16, 4u);
    EXPECT_EQ(regs.rip, 0xc0101234u);
}

TEST_F(Guest32Machine, EventsEnterTheirSegment) {
    v.pv.event_callback = 0xc0500000;
    v.pv.event_cs = 0x61;
    in_user();
    upcall::deliver_events(v, regs);
    EXPECT_EQ(regs.rip, 0xc0500000u);
    EXPECT_EQ(regs.cs, 0x61u);
    EXPECT_EQ(v.info->evtchn_upcall_mask, 1u);
}

TEST_F(Guest32Machine, SystemCallsNameTheirSegments) {
    v.pv.sysenter_callback = 0xc0600000;
    regs.cs = 0xe023, regs.ss = 0xe02b;  // as entry code has it
    regs.rip = regs.rsp = 0;
    v.pv.in_kernel = true;  // nobody has looked
    upcall::guest_sysenter(v, regs);
    EXPECT_EQ(regs.rip, 0xc0600000u);
    const auto words = stack(5);
    EXPECT_EQ(words[1] & 0xffff, abi32::kUserCs);
    EXPECT_EQ(words[4], abi32::kUserDs);
}

TEST_F(Guest32Machine, IretInAndOut) {
    const u32 frame[] = {0x99, 0x8049000, abi32::kUserCs, 0x3202, 0x8048000, abi32::kUserDs};
    put(0x200, std::vector<u32>(frame, frame + 6));
    regs.rsp = at(0x200);
    v.info->evtchn_upcall_mask = 1;
    v.pv.in_nmi = true;
    ASSERT_TRUE(pv::iret32(v, regs));
    EXPECT_EQ(regs.rax, 0x99u);
    EXPECT_EQ(regs.rip, 0x8049000u);
    EXPECT_EQ(regs.cs, abi32::kUserCs);
    EXPECT_EQ(regs.rsp, 0x8048000u);
    EXPECT_EQ(regs.ss, abi32::kUserDs);
    EXPECT_EQ(regs.rflags, 0x202u) << "the privilege of I/O is the hypervisor's";
    EXPECT_EQ(v.info->evtchn_upcall_mask, 0u);
    EXPECT_FALSE(v.pv.in_kernel);
    EXPECT_FALSE(v.pv.in_nmi);

    const u32 inner[] = {0x77, 0xc0100000, 0xe019 | 5u << 16, 0x2};
    // At the end of what is mapped: the two words of an outer frame are not there, and not read.
    const u64 last = machine.guest.size() - sizeof inner;
    put(last, std::vector<u32>(inner, inner + 4));
    regs.rsp = at(last);
    regs.ss = 0x69;
    ASSERT_TRUE(pv::iret32(v, regs));
    EXPECT_EQ(regs.cs, 0xe019u);
    EXPECT_EQ(regs.rsp, at(last) + 16);
    EXPECT_EQ(regs.ss, 0x69u);
    EXPECT_EQ(v.info->evtchn_upcall_mask, 1u);

    pv::Iret32Frame bad{.eax = 0, .eip = 1, .cs = 0xe018, .eflags = 2, .esp = 0, .ss = 0};
    EXPECT_FALSE(pv::load_iret32_frame(regs, bad)) << "ring 0";
    bad.cs = abi32::kUserCs, bad.eflags = 1u << 17;
    EXPECT_FALSE(pv::load_iret32_frame(regs, bad)) << "virtual 8086";
    regs.rsp = 8;
    EXPECT_FALSE(pv::iret32(v, regs));
}

TEST(Guest32Context, GoesThereAndBack) {
    auto narrow = std::make_unique<vcpu_guest_context_x86_32>();
    auto* bytes = reinterpret_cast<u8*>(narrow.get());
    for (usize i = 0; i < sizeof *narrow; i++) bytes[i] = static_cast<u8>(i * 7 + 1);
    narrow->ctrlreg[3] = 0x12345001;  // frame 0x112345: beyond 4 GiB
    auto wide = std::make_unique<vcpu_guest_context_t>();
    pv::widen_context(*narrow, *wide);
    EXPECT_EQ(xen_cr3_to_pfn(wide->ctrlreg[3]), 0x112345u);
    EXPECT_EQ(wide->user_regs.rip, narrow->user_regs.eip);
    EXPECT_EQ(wide->trap_ctxt[200].address, narrow->trap_ctxt[200].address);
    auto back = std::make_unique<vcpu_guest_context_x86_32>();
    pv::narrow_context(*wide, *back);
    // But for what no context carries: private fields, the padding of selectors, registers that have no use.
    EXPECT_EQ(back->ctrlreg[3], narrow->ctrlreg[3]);
    EXPECT_EQ(std::memcmp(&back->fpu_ctxt, &narrow->fpu_ctxt, 512), 0);
    EXPECT_EQ(std::memcmp(back->trap_ctxt, narrow->trap_ctxt, sizeof back->trap_ctxt), 0);
    EXPECT_EQ(std::memcmp(back->gdt_frames, narrow->gdt_frames, sizeof back->gdt_frames), 0);
    for (const auto field :
         {&vcpu_guest_context_x86_32::flags, &vcpu_guest_context_x86_32::ldt_base,
          &vcpu_guest_context_x86_32::ldt_ents, &vcpu_guest_context_x86_32::gdt_ents,
          &vcpu_guest_context_x86_32::kernel_ss, &vcpu_guest_context_x86_32::kernel_sp,
          &vcpu_guest_context_x86_32::event_callback_eip, &vcpu_guest_context_x86_32::failsafe_callback_eip,
          &vcpu_guest_context_x86_32::vm_assist})
        EXPECT_EQ((*back).*field, (*narrow).*field);
    EXPECT_EQ(back->event_callback_cs, narrow->event_callback_cs & 0xffff);
    EXPECT_EQ(back->failsafe_callback_cs, narrow->failsafe_callback_cs & 0xffff);
    const auto& a = back->user_regs;
    const auto& b = narrow->user_regs;
    EXPECT_EQ((std::vector<u32>{a.ebx, a.ecx, a.edx, a.esi, a.edi, a.ebp, a.eax, a.eip, a.cs, a.eflags, a.esp,
                                a.ss, a.ds, a.es, a.fs, a.gs}),
              (std::vector<u32>{b.ebx, b.ecx, b.edx, b.esi, b.edi, b.ebp, b.eax, b.eip, b.cs, b.eflags, b.esp,
                                b.ss, b.ds, b.es, b.fs, b.gs}));
}

TEST_F(Guest32Machine, ContextIsInstalledAndTold) {
    const Mfn root = *core::allocate_pages(guest, 0, {.scrub = true});
    const u64 frames = heap_free_frames();
    auto c = std::make_unique<vcpu_guest_context_x86_32>();
    std::memset(static_cast<void*>(c.get()), 0, sizeof *c);
    c->flags = VGCF_in_kernel;
    c->user_regs.eip = 0xc0100000;
    c->user_regs.esp = 0xc0200000;
    c->user_regs.cs = 0xe018, c->user_regs.ss = 0xe020, c->user_regs.ds = 0xe020;
    c->user_regs.eflags = 0x1202;
    c->kernel_ss = 0xe020, c->kernel_sp = 0xc0300000;
    c->event_callback_cs = 0xe018, c->event_callback_eip = 0xc0400000;
    c->failsafe_callback_cs = 0xe018, c->failsafe_callback_eip = 0xc0500000;
    c->ctrlreg[3] = xen_pfn_to_cr3_x86_32(static_cast<u32>(root.v));
    auto wide = std::make_unique<vcpu_guest_context_t>();
    pv::widen_context(*c, *wide);
    ASSERT_TRUE(pv::set_context(v, *wide));
    EXPECT_EQ(v.pv.regs.cs, 0xe019u);
    EXPECT_EQ(v.pv.ds, 0xe021u);
    EXPECT_TRUE(v.pv.in_kernel);
    EXPECT_EQ(v.pv.pae_table, root);
    EXPECT_EQ(port::frame_ptr<Pte>(v.pv.kernel_table)[0].mfn(), root);
    EXPECT_EQ(v.pv.user_table, v.pv.kernel_table);
    EXPECT_EQ(v.pv.event_cs, 0xe019u);
    EXPECT_EQ(v.pv.failsafe_callback, 0xc0500000u);

    auto told = std::make_unique<vcpu_guest_context_t>();
    pv::get_context(v, *told);
    pv::narrow_context(*told, *c);
    EXPECT_EQ(c->ctrlreg[3], xen_pfn_to_cr3_x86_32(static_cast<u32>(root.v)));
    EXPECT_EQ(c->ctrlreg[1], 0u);
    EXPECT_EQ(c->event_callback_cs, 0xe019u);
    EXPECT_EQ(c->user_regs.esp, 0xc0200000u);
    EXPECT_EQ(c->user_regs.eflags, 0x1202u);
    EXPECT_NE(c->flags & VGCF_in_kernel, 0u);
    // Another takes its place, and all goes in the end.
    ASSERT_TRUE(pv::set_context(v, *told));
    while (!pv::drop_context(v)) {}
    EXPECT_EQ(heap_free_frames(), frames);
    EXPECT_EQ(v.pv.kernel_table, kNoMfn);
}

}  // namespace
}  // namespace domus
