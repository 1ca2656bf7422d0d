// SPDX-License-Identifier: GPL-2.0-or-later
// What an APIC ID says of a CPU's place: fields for thread, core and socket, whose widths CPUID tells.
#pragma once

#include "base/types.hpp"
#include "port/topology.hpp"

namespace domus::x86 {

struct ApicIdFields {
    u32 core_at = 0;           // bits below the core's number: the thread
    u32 socket_at = 0;         // bits below the socket's number; at least core_at, at most 31
    u32 threads_per_core = 1;  // where threads are counted without a bit field of their own (AMD)
    constexpr bool operator==(const ApicIdFields&) const = default;
};

// By the CPUID of this CPU (port/cpuid.hpp), which answers for all: Intel SDM vol. 3, 9.9.5 "Identifying
// Topological Relationships"; AMD APM vol. 3, E.5 "Multiple Processor Calculation".
ApicIdFields read_apic_id_fields();

CpuTopology decode_apic_id(u32 apic_id, const ApicIdFields& fields);

}  // namespace domus::x86
