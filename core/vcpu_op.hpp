// SPDX-License-Identifier: GPL-2.0-or-later
// The operations of vcpu_op (public vcpu.h) as plain functions. Timers and memory areas are in
// core/vcpu_time.hpp. Common to all that name a vCPU: ENOENT: the domain has no such vCPU.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {
struct Domain;
struct Vcpu;
}  // namespace domus

namespace domus::core {

Result<Vcpu*> named_vcpu(Domain& d, VcpuId id);

// `context`: a vcpu_guest_context_t in hypervisor memory. EEXIST: it has one. EINVAL: the context is no good,
// or the vCPU has no place for its vcpu_info yet (ids from 32 on). ERESTART: preempted, call again.
Result<> vcpu_initialise(Domain& d, VcpuId id, const void* context);
// The same by control software, for a vCPU that is paused: with another context in place of one it may have,
// and up or down as `online` says. On an error but RESTART it is as it was before this call.
Result<> vcpu_replace_context(Vcpu& v, const void* context, bool online);
// … without a context, and down. RESTART.
Result<> vcpu_reset(Vcpu& v);
// EINVAL: it was never initialised.
Result<> vcpu_up(Domain& d, VcpuId id);
// The last vCPU to go down takes the domain with it (SHUTDOWN_poweroff).
Result<> vcpu_down(Domain& d, VcpuId id);
Result<bool> vcpu_is_up(Domain& d, VcpuId id);

// VCPUOP_register_vcpu_info: once per vCPU, by itself or while it is down. EINVAL: otherwise, or if the
// structure would cross the page's end or is not 8-byte aligned, or the frame is not the domain's and
// writable.
Result<> register_vcpu_info(Domain& d, VcpuId id, Mfn frame, u32 offset);
// Gives the frame back (destruction, reset).
void forget_vcpu_info(Vcpu& v);

Result<> vcpu_send_nmi(Domain& d, VcpuId id);
// VCPUOP_get_physid: APIC id in the low, ACPI id in the high 32 bits. EINVAL: not a pinned vCPU of the
// hardware domain.
Result<u64> vcpu_physid(Domain& d, VcpuId id);

}  // namespace domus::core
