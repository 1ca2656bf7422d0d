// SPDX-License-Identifier: GPL-2.0-or-later
// The operations of platform_op (public platform.h) that have files of their own; rows in platform_op.cpp.
#pragma once

#include "abi/xen.hpp"
#include "hypercall/caller.hpp"

namespace domus::hypercall {

// platform_op_cpu.cpp: processors
Result<> platform_get_cpuinfo(Caller& caller, xenpf_pcpuinfo_t& info);
Result<> platform_get_cpu_version(Caller& caller, xenpf_pcpu_version_t& info);
Result<> platform_getidletime(Caller& caller, xenpf_getidletime_t& arg);
Result<> platform_cpu_online(Caller& caller, const xenpf_cpu_ol_t& arg);
Result<> platform_cpu_offline(Caller& caller, const xenpf_cpu_ol_t& arg);
Result<> platform_cpu_hotadd(Caller& caller, const xenpf_cpu_hotadd_t& arg);
Result<> platform_core_parking(Caller& caller, xenpf_core_parking_t& arg);
Result<> platform_set_processor_pminfo(Caller& caller, const xenpf_set_processor_pminfo_t& arg);
Result<> platform_microcode_update(Caller& caller, const xenpf_microcode_update_t& arg);

}  // namespace domus::hypercall
