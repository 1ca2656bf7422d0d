// SPDX-License-Identifier: GPL-2.0-or-later
// Debug registers: breakpoints work, and never in the hypervisor.
#include "probe/probe.hpp"

namespace probe {

namespace {
s64 set(u64 reg, u64 value) { return hypercall(__HYPERVISOR_set_debugreg, reg, value); }
}  // namespace

void check_debug() {
    static volatile u64 word = 1;
    const u64 at = reinterpret_cast<u64>(&word);
    check_error("a breakpoint in the hypervisor", set(0, 0xffff830000000000), -EPERM);
    check_error("... at a non-canonical address", set(0, 0x8000000000000000), -EPERM);
    check_error("... at an address of ours", set(0, at), 0);
    check_equal("... reads back", static_cast<u64>(hypercall(__HYPERVISOR_get_debugreg, 0)), at);
    check_error("general detection", set(7, 0x2400), -EPERM);
    check_error("no such register", set(8, 0), -ENODEV);
    check_error("a watch for writes of 8 bytes", set(7, 0x400 | 1 | 1u << 16 | 2u << 18), 0);
    auto fault = attempt([] { word = 2; });
    check_equal("... traps", fault ? fault->vector : 0, kDebug);
    check_equal("... DR6 says which", static_cast<u64>(hypercall(__HYPERVISOR_get_debugreg, 6)) & 15, 1);
    fault = attempt([] { static_cast<void>(word); });
    check("... not on reads", !fault);
    // The hypervisor touches it for us: no trap, for anyone.
    set(7, 0x400 | 1 | 3u << 16 | 2u << 18);
    fault = attempt([&] {
        hypercall(__HYPERVISOR_set_timer_op, 0), hypercall(__HYPERVISOR_xen_version, XENVER_get_features, at);
    });
    check("... and the hypervisor's own access stops nobody", !fault);
    check_error("off again", set(7, 0x400), 0);
    set(0, 0);
}

}  // namespace probe
