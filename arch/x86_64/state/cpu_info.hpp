// SPDX-License-Identifier: GPL-2.0-or-later
// The block at the top of each CPU's stack: the guest's register frame, and what entry code and C++ need at
// once.
#pragma once

#include <atomic>

#include "arch_state/regs.hpp"
#include "base/types.hpp"

namespace domus {

struct Vcpu;

// The block of a CPU's stacks: size and alignment in bytes. The primary stack is its upper end; the stacks of
// NMI, double fault and their like lie below, each with an unmapped page under it (arch/x86_64/cpu_area.hpp),
// so that cpu_info() works on all of them.
inline constexpr u64 kStackSize = 64 * kKiB;

struct alignas(16) CpuInfo {
    u64 pad;         // keeps the end of `regs`, the CPU's RSP0, 16-byte aligned
    GuestRegs regs;  // filled on entry from a guest
    Vcpu* current;   // the vCPU on this CPU; nullptr when idle
    CpuId cpu;
    std::atomic<u32> work;  // port::Work bits
    u64 scratch;            // SYSCALL entry parks RSP here
    u64 trace_count;        // events written to the CPU's ring (arch/x86_64/trace.hpp)
    u64 lock_ranks;         // bit r: the CPU holds a lock of rank r (port/lock_order.cpp; debug builds)
};
static_assert(sizeof(CpuInfo) % 16 == 0);

inline CpuInfo* cpu_info() {
    u64 sp;
    asm("movq %%rsp, %0" : "=r"(sp));
    return reinterpret_cast<CpuInfo*>((sp & ~(kStackSize - 1)) + kStackSize - sizeof(CpuInfo));
}

}  // namespace domus
