// SPDX-License-Identifier: GPL-2.0-or-later
// Time as a vCPU sees it: the published clock, its timers, and the runstate copy in its memory (public xen.h
// struct vcpu_time_info, public vcpu.h).
#pragma once

#include "abi/xen.hpp"
#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {
struct Domain;
struct Vcpu;
}  // namespace domus

namespace domus::core {

// Prepares a new vCPU's timers, and ends them for ever.
void init_vcpu_timers(Vcpu& v);
void stop_vcpu_timers(Vcpu& v);

// The vCPU is now current on this CPU, its address space loaded: publishes the clock and the runstate, and
// takes its timers along.
void switched_in(Vcpu& v, Nanos now);
// The copies at guest virtual addresses that could not be written while the guest ran in user mode, where its
// kernel's addresses are not mapped. The architecture calls this when the current vCPU enters its kernel and
// v.areas_stale is set.
void refresh_guest_areas(Vcpu& v, Nanos now);

// VCPUOP_set_periodic_timer: ticks of `period` ns from now on. EINVAL: below one millisecond or absurdly
// long.
Result<> set_periodic_timer(Vcpu& v, u64 period, Nanos now);
void stop_periodic_timer(Vcpu& v);
// VCPUOP_set_singleshot_timer. ETIME: `when` has passed and flags has VCPU_SSHOTTMR_future. EINVAL: v is not
// the current vCPU.
Result<> set_singleshot_timer(Vcpu& v, u64 when, u32 flags, Nanos now);
Result<> stop_singleshot_timer(Vcpu& v);
// set_timer_op: as a single-shot timer; 0 stops it. Of the current vCPU.
void set_timer_op(Vcpu& v, u64 when);

// VCPUOP_get_runstate_info.
vcpu_runstate_info_t runstate(Vcpu& v, Nanos now);
// VCPUOP_register_runstate_memory_area and …_vcpu_time_memory_area: guest virtual addresses, in the current
// address space, which is one of v's domain. An unmapped address is written once it is mapped.
Result<> register_runstate_area(Vcpu& v, u64 address, Nanos now);
Result<> register_time_area(Vcpu& v, u64 address);

// The wall clock (XENPF_settime): it was `seconds` + `nanoseconds` since 1970 at system time `at`. EINVAL:
// nanoseconds of a second or more, or a time before the clock started. All domains are told.
Result<> set_wall_clock(u64 seconds, u32 nanoseconds, Nanos at);
// Publishes it in a domain's shared info page, with its time_offset.
void publish_wall_clock(Domain& d);

}  // namespace domus::core
