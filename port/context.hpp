// SPDX-License-Identifier: GPL-2.0-or-later
// What the core asks of the architecture about vCPUs, and how the architecture enters the core.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {

struct Domain;
struct Vcpu;

namespace port {

// Makes `next` this CPU's current vCPU: registers, vector state, address space, segment and debug state;
// saves those of `prev` completely, so that on return another CPU may run it. nullptr is the idle context,
// which runs on the hypervisor's own page tables. prev != next. Interrupts are off; called by core::run_work
// on the exit path, after which the CPU leaves to `next`.
void context_switch(Vcpu* prev, Vcpu* next);

// This CPU's current vCPU; nullptr when idle.
Vcpu* current_vcpu();

// Allocates and frees the architecture's part of a vCPU (Vcpu::pv: trap table, vector state). ENOMEM.
Result<> vcpu_create(Vcpu& v);
void vcpu_destroy(Vcpu& v);
// Gives up the references that a vCPU's context holds on guest memory: page tables, descriptor frames. The
// vCPU will not run again, or gets a new context first. ERESTART: preempted, call again. Supplied by pv/.
Result<> vcpu_drop_context(Vcpu& v);

// VCPUOP_initialise and domctl setvcpucontext: checks a guest's vcpu_guest_context_t (at `context`, in
// hypervisor memory) and installs it in a vCPU that runs nowhere. EINVAL for what the ABI refuses; on any
// error the vCPU is as it was. Supplied by pv/.
Result<> vcpu_set_context(Vcpu& v, const void* context);
// The opposite, of a vCPU that is on no CPU: fills the vcpu_guest_context_t at `context`, but for
// VGCF_online. Supplied by pv/.
void vcpu_get_context(const Vcpu& v, void* context);

// Local APIC and ACPI ids of a CPU, for VCPUOP_get_physid.
u32 apic_id(CpuId cpu);
u32 acpi_id(CpuId cpu);

// The hardware domain has shut down with a SHUTDOWN_* reason (public sched.h): powers off, reboots or stops
// the machine as boot options say.
[[noreturn]] void machine_shutdown(u32 reason);

}  // namespace port

namespace upcall {

// The exit path found work: `work` is what port::take_work() returned. Runs timers, drains deferred frees and
// chooses the next vCPU, switching to it. On return the CPU's current vCPU may have changed.
void run_work(u32 work, Nanos now);

}  // namespace upcall
}  // namespace domus
