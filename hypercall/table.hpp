// SPDX-License-Identifier: GPL-2.0-or-later
// The table of hypercalls: one row each, for a layout.
#pragma once

#include "hypercall/dispatch.hpp"
#include "hypercall/families.hpp"
#include "hypercall/thunk.hpp"

namespace domus::hypercall {

template <class L>
inline constexpr Row kRows[] = {
    row<L, &set_trap_table>(__HYPERVISOR_set_trap_table, "set_trap_table"),
    row<L, &mmu_update>(__HYPERVISOR_mmu_update, "mmu_update"),
    row<L, &update_va_mapping>(__HYPERVISOR_update_va_mapping, "update_va_mapping"),
    row<L, &update_va_mapping_otherdomain>(__HYPERVISOR_update_va_mapping_otherdomain,
                                           "update_va_mapping_otherdomain"),
    row<L, &mmuext_op>(__HYPERVISOR_mmuext_op, "mmuext_op"),
    row<L, &stack_switch>(__HYPERVISOR_stack_switch, "stack_switch"),
    row<L, &set_callbacks>(__HYPERVISOR_set_callbacks, "set_callbacks"),
    row<L, &fpu_taskswitch>(__HYPERVISOR_fpu_taskswitch, "fpu_taskswitch"),
    row<L, &set_debugreg>(__HYPERVISOR_set_debugreg, "set_debugreg"),
    row<L, &get_debugreg>(__HYPERVISOR_get_debugreg, "get_debugreg"),
    row<L, &multicall>(__HYPERVISOR_multicall, "multicall"),
    row<L, &xen_version>(__HYPERVISOR_xen_version, "xen_version"),
    row<L, &vm_assist>(__HYPERVISOR_vm_assist, "vm_assist"),
    row<L, &iret>(__HYPERVISOR_iret, "iret"),
    row<L, &set_segment_base>(__HYPERVISOR_set_segment_base, "set_segment_base"),
    row<L, &nmi_op>(__HYPERVISOR_nmi_op, "nmi_op"),
    row<L, &callback_op>(__HYPERVISOR_callback_op, "callback_op"),
};

}  // namespace domus::hypercall
