// SPDX-License-Identifier: GPL-2.0-or-later
// port/pv_hw.hpp for host builds: records.
#include "fakes/pv_hw.hpp"

#include "core/vcpu.hpp"
#include "port/pv_hw.hpp"

namespace domus {

fakes::PvHardware fakes::pv_hw;

namespace port {

using fakes::pv_hw;

void load_fs_base(u64 base) { pv_hw.fs_base = base; }
void load_gs_base_kernel(u64 base) { pv_hw.gs_base_kernel = base; }
void load_gs_base_user(u64 base) { pv_hw.gs_base_user = base; }
bool load_gs_user_selector(u16 selector) {
    pv_hw.gs_user_selector = pv_hw.selector_loads ? selector : u16{0};
    return pv_hw.selector_loads;
}
u64 read_fs_base() { return pv_hw.fs_base; }
u64 read_gs_base_kernel() { return pv_hw.gs_base_kernel; }
u64 read_gs_base_user() { return pv_hw.gs_base_user; }
void load_gdt(Vcpu&) { pv_hw.gdt_loads++; }
void load_ldt(Vcpu&) { pv_hw.ldt_loads++; }
void load_debug_regs(Vcpu&) { pv_hw.debug_loads++; }
void load_tsc_aux(u32 value) { pv_hw.tsc_aux = value; }
void load_xcr0(u64) {}
void enter_kernel_mode(Vcpu& v) { v.pv.in_kernel = true; }
void set_task_switched(Vcpu&, bool set) { pv_hw.task_switched = set; }
void enter_user_mode(Vcpu& v) {
    v.pv.in_kernel = false;
    pv_hw.user_entries++;
}
void crash_current_domain(Vcpu&) { pv_hw.crashes++; }

}  // namespace port
}  // namespace domus
