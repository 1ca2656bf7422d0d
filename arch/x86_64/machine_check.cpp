// SPDX-License-Identifier: GPL-2.0-or-later
// Switching machine checks on, and logging what the banks hold.
#include "arch/machine_check.hpp"

#include "arch/insn.hpp"
#include "base/log.hpp"
#include "port/cpu.hpp"

extern "C" {
bool probe_rdmsr(domus::u32 msr, domus::u64* value);
bool probe_wrmsr(domus::u32 msr, domus::u64 value);
}

namespace domus::x86 {

namespace {

constexpr u32 kMcgCap = 0x179, kMcgStatus = 0x17a, kMcgControl = 0x17b, kBank0 = 0x400;
constexpr u64 kHasControl = 1u << 8;
constexpr u64 kValid = u64{1} << 63, kMiscValid = u64{1} << 59, kAddressValid = u64{1} << 58;

u32 banks(u64& cap) {
    constexpr u32 kMceAndMca = 1u << 7 | 1u << 14;
    cap = 0;
    if ((cpuid(1).edx & kMceAndMca) != kMceAndMca || !probe_rdmsr(kMcgCap, &cap)) return 0;
    return static_cast<u32>(cap & 0xff);
}

}  // namespace

void enable_machine_checks() {
    u64 cap;
    const u32 count = banks(cap);
    if ((cap & kHasControl) != 0) (void)probe_wrmsr(kMcgControl, ~u64{0});
    for (u32 i = 0; i < count; i++) (void)probe_wrmsr(kBank0 + 4 * i, ~u64{0});
}

void log_machine_checks() {
    u64 cap, global = 0;
    const u32 count = banks(cap);
    (void)probe_rdmsr(kMcgStatus, &global);
    log(Level::error, "Machine check on CPU {}: {} banks, global status {:x}", port::this_cpu(), count,
        global);
    for (u32 i = 0; i < count; i++) {
        u64 status = 0, address = 0, misc = 0;
        if (!probe_rdmsr(kBank0 + 4 * i + 1, &status) || (status & kValid) == 0) continue;
        if ((status & kAddressValid) != 0) (void)probe_rdmsr(kBank0 + 4 * i + 2, &address);
        if ((status & kMiscValid) != 0) (void)probe_rdmsr(kBank0 + 4 * i + 3, &misc);
        log(Level::error, "  bank {}: status {:016x}, address {:x}, misc {:x}", i, status, address, misc);
    }
}

}  // namespace domus::x86
