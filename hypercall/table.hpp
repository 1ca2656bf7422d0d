// SPDX-License-Identifier: GPL-2.0-or-later
// The table of hypercalls: one row each, for a layout: those that all guests have, and those of 64-bit or of
// 32-bit guests.
#pragma once

#include "hypercall/dispatch.hpp"
#include "hypercall/families.hpp"
#include "hypercall/thunk.hpp"

namespace domus::hypercall {

template <class L>
inline constexpr Row kRows[] = {
    row<L, &set_trap_table<L>>(__HYPERVISOR_set_trap_table, "set_trap_table"),
    row<L, &mmu_update>(__HYPERVISOR_mmu_update, "mmu_update"),
    row<L, &update_va_mapping>(__HYPERVISOR_update_va_mapping, "update_va_mapping"),
    row<L, &update_va_mapping_otherdomain>(__HYPERVISOR_update_va_mapping_otherdomain,
                                           "update_va_mapping_otherdomain"),
    row<L, &mmuext_op<L>>(__HYPERVISOR_mmuext_op, "mmuext_op"),
    row<L, &set_gdt<L>>(__HYPERVISOR_set_gdt, "set_gdt"),
    row<L, &stack_switch>(__HYPERVISOR_stack_switch, "stack_switch"),
    row<L, &fpu_taskswitch>(__HYPERVISOR_fpu_taskswitch, "fpu_taskswitch"),
    row<L, &sched_op_compat>(__HYPERVISOR_sched_op_compat, "sched_op_compat"),
    row<L, &set_debugreg>(__HYPERVISOR_set_debugreg, "set_debugreg"),
    row<L, &get_debugreg>(__HYPERVISOR_get_debugreg, "get_debugreg"),
    row<L, &update_descriptor>(__HYPERVISOR_update_descriptor, "update_descriptor"),
    row<L, &memory_op<L>>(__HYPERVISOR_memory_op, "memory_op"),
    row<L, &multicall<L>>(__HYPERVISOR_multicall, "multicall"),
    row<L, &set_timer_op>(__HYPERVISOR_set_timer_op, "set_timer_op"),
    row<L, &xen_version<L>>(__HYPERVISOR_xen_version, "xen_version"),
    row<L, &console_io>(__HYPERVISOR_console_io, "console_io", Who::control_or_hardware),
    row<L, &grant_table_op<L>>(__HYPERVISOR_grant_table_op, "grant_table_op"),
    row<L, &vm_assist>(__HYPERVISOR_vm_assist, "vm_assist"),
    row<L, &vcpu_op<L>>(__HYPERVISOR_vcpu_op, "vcpu_op"),
    row<L, &nmi_op<L>>(__HYPERVISOR_nmi_op, "nmi_op"),
    row<L, &sched_op<L>>(__HYPERVISOR_sched_op, "sched_op"),
    row<L, &callback_op<L>>(__HYPERVISOR_callback_op, "callback_op"),
    row<L, &event_channel_op_compat>(__HYPERVISOR_event_channel_op_compat, "event_channel_op_compat"),
    row<L, &event_channel_op>(__HYPERVISOR_event_channel_op, "event_channel_op"),
    row<L, &sysctl>(__HYPERVISOR_sysctl, "sysctl", Who::control),
    row<L, &domctl>(__HYPERVISOR_domctl, "domctl", Who::control),
};

// Rows of one kind of guest. 32-bit domains are guests like any other: they own no devices and control
// nobody, so that what is only for those who do stays away. domctl and sysctl have the same structures for
// all.
template <class L>
inline constexpr Row kOwnRows[1] = {};
template <>
inline constexpr Row kOwnRows<Layout64>[] = {
    row<Layout64, &set_callbacks>(__HYPERVISOR_set_callbacks, "set_callbacks"),
    row<Layout64, &platform_op>(__HYPERVISOR_platform_op, "platform_op", Who::control),
    row<Layout64, &physdev_op_compat>(__HYPERVISOR_physdev_op_compat, "physdev_op_compat"),
    row<Layout64, &iret>(__HYPERVISOR_iret, "iret"),
    row<Layout64, &set_segment_base>(__HYPERVISOR_set_segment_base, "set_segment_base"),
    row<Layout64, &physdev_op>(__HYPERVISOR_physdev_op, "physdev_op"),
    row<Layout64, &hvm_op>(__HYPERVISOR_hvm_op, "hvm_op"),
    row<Layout64, &xenpmu_op>(__HYPERVISOR_xenpmu_op, "xenpmu_op"),
    row<Layout64, &mca>(__HYPERVISOR_arch_0, "mca", Who::hardware),
};
template <>
inline constexpr Row kOwnRows<Layout32>[] = {
    row<Layout32, &set_callbacks32>(__HYPERVISOR_set_callbacks, "set_callbacks"),
    row<Layout32, &iret32>(__HYPERVISOR_iret, "iret"),
    row<Layout32, &physdev_op32>(__HYPERVISOR_physdev_op, "physdev_op"),
    row<Layout32, &hvm_op>(__HYPERVISOR_hvm_op, "hvm_op"),
};

}  // namespace domus::hypercall
