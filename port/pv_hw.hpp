// SPDX-License-Identifier: GPL-2.0-or-later
// What pv/ asks of the CPU on behalf of the vCPU that runs on it now. Every function is called for the
// current vCPU, on its CPU, with the vCPU in guest kernel mode (that is, inside a hypercall); the new value
// is in Vcpu::pv already, and stays there for the next context switch.
#pragma once

#include "base/types.hpp"

namespace domus {

struct Vcpu;

namespace port {

// Segment bases. While a guest kernel runs, GS_BASE holds pv.gs_base_kernel and KERNEL_GS_BASE holds
// pv.gs_base_user. `base` is canonical.
void load_fs_base(u64 base);
void load_gs_base_kernel(u64 base);
void load_gs_base_user(u64 base);
// Loads the selector into GS for user mode (SEGBASE_GS_USER_SEL), which sets its base from the descriptor.
// False: the selector cannot be loaded; user GS is then null.
bool load_gs_user_selector(u16 selector);
// The bases as the CPU has them now: guests may change them without a hypercall (FSGSBASE, selector loads).
u64 read_fs_base();
u64 read_gs_base_kernel();
u64 read_gs_base_user();

// pv.gdt_frames or pv.gdt_entries have changed: map the frames (writable: the CPU sets accessed bits) at the
// start of this CPU's descriptor table and reload what was cached.
void load_gdt(Vcpu& v);
// pv.ldt_base or pv.ldt_entries have changed: descriptor pages are mapped on first use, the old ones must go.
void load_ldt(Vcpu& v);

// pv.debug_regs have changed (0 to 3 are addresses outside the hypervisor's range, 7 is checked).
void load_debug_regs(Vcpu& v);

// pv.tsc_aux has changed. Precondition: the CPU has RDTSCP or RDPID.
void load_tsc_aux(u32 value);

// pv.xcr0 has changed (checked: x87 set, nothing the CPU lacks).
void load_xcr0(u64 xcr0);

// The guest set or cleared its CR0.TS: with `set`, its next vector instruction raises #NM in the guest.
void set_task_switched(Vcpu& v, bool set);

// From guest kernel mode to guest user mode: address space pv.user_table, GS bases exchanged; sets
// pv.in_kernel. Precondition: pv.user_table is not kNoMfn.
void enter_user_mode(Vcpu& v);
// The other way, when an exception, event or system call enters the guest's kernel: pv.kernel_table.
void enter_kernel_mode(Vcpu& v);

// The current vCPU's domain did what it cannot go on from: the domain is crashed (SHUTDOWN_crash), the reason
// has been logged, and the guest does not run again. Returns.
void crash_current_domain(Vcpu& v);

}  // namespace port
}  // namespace domus
