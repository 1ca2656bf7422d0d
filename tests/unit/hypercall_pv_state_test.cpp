// SPDX-License-Identifier: GPL-2.0-or-later
// The hypercalls that set up a PV vCPU, and pv/'s rules behind them.
#include <gtest/gtest.h>

#include <vector>

#include "abi/xen.hpp"
#include "fakes/pv_hw.hpp"
#include "pv/address.hpp"
#include "pv/debug_regs.hpp"
#include "pv/descriptors.hpp"
#include "pv/iret.hpp"
#include "pv/traps.hpp"
#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {
namespace {

constexpr u64 kNonCanonical = 0x0000800000000000, kKernelAddress = 0xffffffff81000000,
              kHypervisorAddress = 0xffff830000001000;

class PvState : public HypercallTest {
  protected:
    PvState() {
        fakes::pv_hw = {};
        vcpu.pv.traps = traps;
        vcpu.info = &info;
    }
    TrapGate traps[pv::kTrapCount];
    vcpu_info_t info{};

    static trap_info_t trap(u8 vector, u64 address, u16 cs = 0x10, u8 flags = 0) {
        trap_info_t t{};
        t.vector = vector, t.flags = flags, t.cs = cs, t.address = address;
        return t;
    }
};

TEST(PvAddress, Canonical) {
    EXPECT_TRUE(pv::canonical(0) && pv::canonical(0x00007fffffffffff) && pv::canonical(0xffff800000000000));
    EXPECT_TRUE(pv::canonical(~u64{0}));
    EXPECT_FALSE(pv::canonical(0x0000800000000000) || pv::canonical(0xffff7fffffffffff) ||
                 pv::canonical(u64{1} << 63));
    EXPECT_FALSE(pv::guest_address(kHypervisorAddress) || pv::guest_address(kNonCanonical));
    EXPECT_TRUE(pv::guest_address(0xffff880000000000) && pv::guest_address(0x7fffffffffff));
}

// ---- descriptors --------------------------------------------------------------------------------

TEST(PvDescriptors, WhatPasses) {
    EXPECT_EQ(pv::check_descriptor(false, 0), 0u);
    // Linux's kernel code segment: DPL 0 becomes 3.
    EXPECT_EQ(pv::check_descriptor(false, 0x00af9b000000ffff), 0x00affb000000ffffu);
    EXPECT_EQ(pv::check_descriptor(false, 0x00affb000000ffff), 0x00affb000000ffffu);
    EXPECT_EQ(pv::check_descriptor(false, 0x00cff3000000ffff), 0x00cff3000000ffffu);
    // Not present: anything.
    EXPECT_EQ(pv::check_descriptor(false, 0x00000c0000000000), 0x00000c0000000000u);
    // Present, system type 0.
    EXPECT_EQ(pv::check_descriptor(false, 0x0000800000000000), 0x0000800000000000u);
}

TEST(PvDescriptors, NoSystemDescriptor) {
    for (u64 type = 1; type < 16; type++) {
        for (u64 dpl = 0; dpl < 4; dpl++) {
            EXPECT_EQ(pv::check_descriptor(false, u64{1} << 47 | dpl << 45 | type << 40), std::nullopt)
                << type;
        }
    }
}

// ---- set_trap_table -----------------------------------------------------------------------------

TEST_F(PvState, TrapTable) {
    put(0, std::vector{trap(14, kKernelAddress, 0x10, 4), trap(3, kKernelAddress + 16, 0x33, 3), trap(0, 0)});
    EXPECT_EQ(run(__HYPERVISOR_set_trap_table, at(0)), 0);
    EXPECT_EQ(traps[14].rip, kKernelAddress);
    EXPECT_EQ(traps[14].cs, 0x13);
    EXPECT_TRUE(traps[14].masks_events);
    EXPECT_EQ(traps[14].dpl, 0);
    EXPECT_EQ(traps[3].cs, 0x33);
    EXPECT_EQ(traps[3].dpl, 3);
    EXPECT_FALSE(traps[3].masks_events);
    EXPECT_FALSE(traps[0].present());
    EXPECT_EQ(run(__HYPERVISOR_set_trap_table, 0), 0);
    EXPECT_FALSE(traps[14].present());
}

TEST_F(PvState, TheGateOfNmisIsTheirCallback) {
    put(0, std::vector{trap(2, kKernelAddress, 0x10, 4), trap(0, 0)});
    EXPECT_EQ(run(__HYPERVISOR_set_trap_table, at(0)), 0);
    EXPECT_EQ(vcpu.pv.nmi_callback, kKernelAddress);
    EXPECT_EQ(run(__HYPERVISOR_set_trap_table, 0), 0);
    EXPECT_EQ(vcpu.pv.nmi_callback, 0u);
}

TEST_F(PvState, TrapTableIsPreemptible) {
    std::vector<trap_info_t> list;
    for (unsigned i = 0; i < 256; i++) list.push_back(trap(static_cast<u8>(i), kKernelAddress + i));
    list.push_back(trap(0, 0));
    machine.preempt = true;
    put(0, list);
    EXPECT_EQ(run(__HYPERVISOR_set_trap_table, at(0)), 0);
    EXPECT_GE(again_count, 7u);
    for (unsigned i = 0; i < 256; i++) EXPECT_EQ(traps[i].rip, kKernelAddress + i);
}

TEST_F(PvState, TrapTableWithoutEndComesToTheEndOfMemory) {
    put(0, std::vector<trap_info_t>(machine.guest.size() / sizeof(trap_info_t), trap(1, kKernelAddress)));
    EXPECT_EQ(run(__HYPERVISOR_set_trap_table, at(0)), -EFAULT);
    EXPECT_GT(again_count, 100u);
}

TEST_F(PvState, TrapTableRefusesBadAddresses) {
    put(0, std::vector{trap(1, kNonCanonical), trap(0, 0)});
    EXPECT_EQ(run(__HYPERVISOR_set_trap_table, at(0)), -EINVAL);
    EXPECT_FALSE(traps[1].present());
    EXPECT_EQ(run(__HYPERVISOR_set_trap_table, kHypervisorAddress), -EFAULT);
}

// ---- callbacks ----------------------------------------------------------------------------------

TEST_F(PvState, Callbacks) {
    EXPECT_EQ(run(__HYPERVISOR_set_callbacks, kKernelAddress, kKernelAddress + 1, kKernelAddress + 2), 0);
    EXPECT_EQ(vcpu.pv.event_callback, kKernelAddress);
    EXPECT_EQ(vcpu.pv.failsafe_callback, kKernelAddress + 1);
    EXPECT_EQ(vcpu.pv.syscall_callback, kKernelAddress + 2);
    EXPECT_EQ(run(__HYPERVISOR_set_callbacks, 1, 2, kNonCanonical), -EINVAL);
    EXPECT_EQ(vcpu.pv.event_callback, kKernelAddress) << "all or none";
}

TEST_F(PvState, CallbackOp) {
    const auto reg = [&](u16 type, u16 flags, u64 address) {
        put(0, callback_register_t{.type = type, .flags = flags, .address = address});
        return run(__HYPERVISOR_callback_op, CALLBACKOP_register, at(0));
    };
    EXPECT_EQ(reg(CALLBACKTYPE_event, 0, 0x1000), 0);
    EXPECT_EQ(vcpu.pv.event_callback, 0x1000u);
    EXPECT_EQ(reg(CALLBACKTYPE_failsafe, CALLBACKF_mask_events, 0x2000), 0);
    EXPECT_TRUE(vcpu.pv.failsafe_masks_events);
    EXPECT_EQ(reg(CALLBACKTYPE_failsafe, 0, 0x2000), 0);
    EXPECT_FALSE(vcpu.pv.failsafe_masks_events);
    EXPECT_EQ(reg(CALLBACKTYPE_syscall, CALLBACKF_mask_events, 0x3000), 0);
    EXPECT_TRUE(vcpu.pv.syscall_masks_events);
    EXPECT_EQ(reg(CALLBACKTYPE_sysenter, CALLBACKF_mask_events, 0x4000), 0);
    EXPECT_EQ(vcpu.pv.sysenter_callback, 0x4000u);
    EXPECT_TRUE(vcpu.pv.sysenter_masks_events);
    EXPECT_EQ(reg(CALLBACKTYPE_syscall32, 0, 0x5000), 0);
    EXPECT_EQ(vcpu.pv.syscall32_callback, 0x5000u);
    EXPECT_FALSE(vcpu.pv.syscall32_masks_events);
    EXPECT_EQ(reg(CALLBACKTYPE_sysenter_deprecated, 0, 0x4000), -ENOSYS);
    EXPECT_EQ(reg(CALLBACKTYPE_nmi, 0, 0x6000), 0);
    EXPECT_EQ(vcpu.pv.nmi_callback, 0x6000u);
    EXPECT_EQ(reg(99, 0, 0), -ENOSYS);
    EXPECT_EQ(reg(CALLBACKTYPE_event, 0, kNonCanonical), -EINVAL);

    const auto unreg = [&](u16 type) {
        put(0, callback_unregister_t{.type = type, ._unused = 0});
        return run(__HYPERVISOR_callback_op, CALLBACKOP_unregister, at(0));
    };
    EXPECT_EQ(unreg(CALLBACKTYPE_nmi), 0);
    EXPECT_EQ(vcpu.pv.nmi_callback, 0u);
    EXPECT_EQ(unreg(CALLBACKTYPE_event), -EINVAL);
    EXPECT_EQ(unreg(CALLBACKTYPE_syscall32), -EINVAL);
    EXPECT_EQ(unreg(CALLBACKTYPE_sysenter), -EINVAL);
    EXPECT_EQ(unreg(99), -ENOSYS);
    EXPECT_EQ(run(__HYPERVISOR_callback_op, 2, at(0)), -ENOSYS);
    EXPECT_EQ(run(__HYPERVISOR_callback_op, CALLBACKOP_register, 0), -EFAULT);
}

TEST_F(PvState, NmiOp) {
    put(0, xennmi_callback_t{.handler_address = kKernelAddress, .pad = 0});
    EXPECT_EQ(run(__HYPERVISOR_nmi_op, XENNMI_register_callback, at(0)), 0);
    EXPECT_EQ(vcpu.pv.nmi_callback, kKernelAddress);
    EXPECT_EQ(run(__HYPERVISOR_nmi_op, XENNMI_unregister_callback), 0);
    EXPECT_EQ(vcpu.pv.nmi_callback, 0u);
    EXPECT_EQ(run(__HYPERVISOR_nmi_op, 7), -ENOSYS);
}

// ---- the rest -----------------------------------------------------------------------------------

TEST_F(PvState, StackAndTaskSwitch) {
    EXPECT_EQ(run(__HYPERVISOR_stack_switch, 0x18, 0xffff888000001000), 0);
    EXPECT_EQ(vcpu.pv.kernel_ss, 0x1bu);
    EXPECT_EQ(vcpu.pv.kernel_sp, 0xffff888000001000u);
    EXPECT_EQ(run(__HYPERVISOR_fpu_taskswitch, 1), 0);
    EXPECT_TRUE(fakes::pv_hw.task_switched);
    EXPECT_EQ(vcpu.pv.cr0 & 8, 8u);
    EXPECT_EQ(run(__HYPERVISOR_fpu_taskswitch, 0), 0);
    EXPECT_FALSE(fakes::pv_hw.task_switched);
    EXPECT_EQ(vcpu.pv.cr0 & 8, 0u);
}

TEST_F(PvState, SegmentBases) {
    EXPECT_EQ(run(__HYPERVISOR_set_segment_base, SEGBASE_FS, 0x7fff00001000), 0);
    EXPECT_EQ(fakes::pv_hw.fs_base, 0x7fff00001000u);
    EXPECT_EQ(run(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER, 0x1000), 0);
    EXPECT_EQ(fakes::pv_hw.gs_base_user, 0x1000u);
    EXPECT_EQ(run(__HYPERVISOR_set_segment_base, SEGBASE_GS_KERNEL, 0xffff888000000000), 0);
    EXPECT_EQ(vcpu.pv.gs_base_kernel, 0xffff888000000000u);
    for (const u32 which : {SEGBASE_FS, SEGBASE_GS_USER, SEGBASE_GS_KERNEL}) {
        EXPECT_EQ(run(__HYPERVISOR_set_segment_base, which, kNonCanonical), -EINVAL);
    }
    EXPECT_EQ(run(__HYPERVISOR_set_segment_base, 4, 0), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, 0x28), 0);
    EXPECT_EQ(fakes::pv_hw.gs_user_selector, 0x2b);
    EXPECT_EQ(run(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, 0), 0);
    EXPECT_EQ(fakes::pv_hw.gs_user_selector, 0);
    fakes::pv_hw.selector_loads = false;
    EXPECT_EQ(run(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, 0x1230), -EINVAL);
    EXPECT_EQ(vcpu.pv.gs, 0);
}

TEST_F(PvState, DebugRegisters) {
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 0, 0x401000), 0);
    EXPECT_EQ(run(__HYPERVISOR_get_debugreg, 0), 0x401000);
    EXPECT_EQ(fakes::pv_hw.debug_loads, 1u);
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 0, kHypervisorAddress), -EPERM);
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 3, kNonCanonical), -EPERM);
    EXPECT_EQ(run(__HYPERVISOR_get_debugreg, 0), 0x401000);
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 8, 0), -ENODEV);
    EXPECT_EQ(run(__HYPERVISOR_get_debugreg, 8), -EINVAL);

    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 7, 0), 0);
    EXPECT_EQ(run(__HYPERVISOR_get_debugreg, 7), 0x400);
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 7, 1u << 13), -EPERM) << "general detection";
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 7, u64{1} << 32), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 7, 2u << 20), -EPERM) << "I/O without CR4.DE";
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 7, 1u << 18), -EPERM) << "execute of two bytes";
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 5, 0xd0001), 0) << "another name of 7";
    EXPECT_EQ(run(__HYPERVISOR_get_debugreg, 7), 0xd0401);
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 6, 0), 0);
    EXPECT_EQ(run(__HYPERVISOR_get_debugreg, 6), 0xffff0ff0);
    vcpu.pv.cr4 = 8;
    EXPECT_EQ(run(__HYPERVISOR_set_debugreg, 7, 2u << 20), 0);
    EXPECT_EQ(run(__HYPERVISOR_get_debugreg, 4), -EINVAL);
}

TEST_F(PvState, VmAssist) {
    EXPECT_EQ(run(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    EXPECT_EQ(run(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_m2p_strict), 0);
    EXPECT_EQ(domain.vm_assist, u64{1} << 32 | 1u << 2);
    EXPECT_EQ(run(__HYPERVISOR_vm_assist, VMASST_CMD_disable, VMASST_TYPE_m2p_strict), 0);
    EXPECT_EQ(domain.vm_assist, 1u << 2);
    EXPECT_EQ(run(__HYPERVISOR_vm_assist, VMASST_CMD_enable, 6), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_vm_assist, VMASST_CMD_enable, ~0u), -EINVAL);
    EXPECT_EQ(run(__HYPERVISOR_vm_assist, 2, VMASST_TYPE_m2p_strict), -ENOSYS);
}

// ---- iret ---------------------------------------------------------------------------------------

TEST_F(PvState, IretToUser) {
    iret_context f{};
    f.rax = 1, f.r11 = 2, f.rcx = 3, f.rip = 0x401000, f.cs = 0x33, f.rflags = 0x3246, f.rsp = 0x7ffe0000,
    f.ss = 0x2b;
    put(0, f);
    vcpu.pv.user_table = Mfn(5);
    regs = {};
    regs.rax = __HYPERVISOR_iret;
    regs.rbx = 77;
    regs.rsp = at(0);
    info.evtchn_upcall_mask = 1;
    dispatch(vcpu, regs);
    EXPECT_EQ(regs.rax, 1u);
    EXPECT_EQ(regs.r11, 2u);
    EXPECT_EQ(regs.rcx, 3u);
    EXPECT_EQ(regs.rbx, 77u);
    EXPECT_EQ(regs.rip, 0x401000u);
    EXPECT_EQ(regs.cs, 0x33u);
    EXPECT_EQ(regs.ss, 0x2bu);
    EXPECT_EQ(regs.rsp, 0x7ffe0000u);
    EXPECT_EQ(regs.rflags, 0x246u) << "interrupts on, I/O privilege level 0";
    EXPECT_EQ(info.evtchn_upcall_mask, 0);
    EXPECT_EQ(fakes::pv_hw.user_entries, 1u);
    EXPECT_FALSE(vcpu.pv.in_kernel);
    EXPECT_EQ(vcpu.pv.iopl, 0u);
}

TEST_F(PvState, IretStaysInKernelWithEventsMasked) {
    iret_context f{};
    f.rip = kKernelAddress, f.cs = 0x10, f.rflags = 0x1046, f.rsp = kKernelAddress, f.ss = 0x18;
    put(0, f);
    domain.vm_assist = 1u << VMASST_TYPE_architectural_iopl;
    regs = {};
    regs.rax = __HYPERVISOR_iret;
    regs.rsp = at(0);
    dispatch(vcpu, regs);
    EXPECT_EQ(regs.cs, 0x13u);
    EXPECT_EQ(regs.rflags, 0x246u);
    EXPECT_EQ(info.evtchn_upcall_mask, 1);
    EXPECT_EQ(fakes::pv_hw.user_entries, 0u);
    EXPECT_EQ(vcpu.pv.iopl, 1u);
}

TEST_F(PvState, IretBySysret) {
    iret_context f{};
    f.flags = VGCF_in_syscall, f.rip = 0x401000, f.cs = 0x33, f.rflags = 0x202, f.rcx = 9, f.r11 = 9;
    const auto t = pv::load_iret_frame(regs, f);
    ASSERT_TRUE(t);
    EXPECT_TRUE(t->to_user);
    EXPECT_EQ(regs.rcx, 0x401000u);
    EXPECT_EQ(regs.r11, 0x202u);
    EXPECT_EQ(regs.cs, u64{FLAT_USER_CS64});
    EXPECT_EQ(regs.vector, kSyscallVector);
}

TEST_F(PvState, BadIretCrashesTheDomain) {
    regs = {};
    regs.rax = __HYPERVISOR_iret;
    regs.rsp = kHypervisorAddress;
    dispatch(vcpu, regs);
    EXPECT_EQ(fakes::pv_hw.crashes, 1u);
    iret_context f{};
    f.cs = 0x33;
    put(0, f);
    regs.rsp = at(0);  // user mode without a user table
    regs.rax = __HYPERVISOR_iret;
    dispatch(vcpu, regs);
    EXPECT_EQ(fakes::pv_hw.crashes, 2u);
    f.rip = kNonCanonical;
    put(0, f);
    regs.rax = __HYPERVISOR_iret;
    dispatch(vcpu, regs);
    EXPECT_EQ(fakes::pv_hw.crashes, 3u);
    put(0x100, multicall_entry_t{.op = __HYPERVISOR_iret, .result = 0, .args = {}});
    EXPECT_EQ(run(__HYPERVISOR_multicall, at(0x100), 1), 0);
    EXPECT_EQ(static_cast<s64>(get<multicall_entry_t>(0x100).result), -EINVAL);
}

}  // namespace
}  // namespace domus::hypercall
