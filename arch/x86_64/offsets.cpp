// SPDX-License-Identifier: GPL-2.0-or-later
// The numbers that assembly uses, held against the C++ types.
#include "arch_state/offsets.hpp"

#include <cstddef>

#include "arch_state/cpu_info.hpp"
#include "arch_state/regs.hpp"
#include "core/vcpu.hpp"

namespace domus {

static_assert(offsetof(GuestRegs, error_code) == REGS_ERROR_CODE &&
              offsetof(GuestRegs, vector) == REGS_VECTOR);
static_assert(offsetof(GuestRegs, rip) == REGS_RIP && offsetof(GuestRegs, cs) == REGS_CS);
static_assert(offsetof(GuestRegs, rflags) == REGS_RFLAGS && offsetof(GuestRegs, rsp) == REGS_RSP);
static_assert(offsetof(GuestRegs, ss) == REGS_SS && sizeof(GuestRegs) == REGS_SIZE);
static_assert(sizeof(CpuInfo) == CPUINFO_SIZE && offsetof(CpuInfo, regs) == CPUINFO_REGS);
static_assert(offsetof(CpuInfo, current) == CPUINFO_CURRENT && offsetof(CpuInfo, work) == CPUINFO_WORK);
static_assert(offsetof(CpuInfo, scratch) == CPUINFO_SCRATCH && kStackSize == STACK_SIZE);
static_assert(offsetof(Vcpu, info) == VCPU_INFO);
static_assert(offsetof(vcpu_info_t, evtchn_upcall_pending) == 0 &&
              offsetof(vcpu_info_t, evtchn_upcall_mask) == 1);
static_assert(kSyscallVector == VECTOR_SYSCALL);

}  // namespace domus
