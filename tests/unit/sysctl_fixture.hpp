// SPDX-License-Identifier: GPL-2.0-or-later
// A control domain that makes sysctl calls.
#pragma once

#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {

class SysctlTest : public HypercallTest {
  protected:
    static constexpr u64 kOp = 0;  // where the structure of an operation lies

    // `s` is what the hypervisor leaves in guest memory.
    s64 sysctl(u32 command, xen_sysctl_t& s) {
        s.cmd = command;
        s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        put(kOp, s);
        const s64 result = run(__HYPERVISOR_sysctl, at(kOp));
        s = get<xen_sysctl_t>(kOp);
        return result;
    }
};

}  // namespace domus::hypercall
