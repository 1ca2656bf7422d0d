// SPDX-License-Identifier: GPL-2.0-or-later
// A control domain that makes sysctl calls, and others of their kind.
#pragma once

#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {

class SysctlTest : public HypercallTest {
  protected:
    static constexpr u64 kOp = 0;  // where the structure of an operation lies

    // `op` is then what the hypervisor leaves in guest memory.
    template <class Op>
    s64 control(u64 hypercall, u32 version, u32 command, Op& op) {
        op.cmd = command;
        op.interface_version = version;
        put(kOp, op);
        const s64 result = run(hypercall, at(kOp));
        op = get<Op>(kOp);
        return result;
    }
    s64 sysctl(u32 command, xen_sysctl_t& s) {
        return control(__HYPERVISOR_sysctl, XEN_SYSCTL_INTERFACE_VERSION, command, s);
    }
};

}  // namespace domus::hypercall
