// SPDX-License-Identifier: GPL-2.0-or-later
// domctl made by dom0, and domains made by domctl.
#pragma once

#include "unit/hypercall_fixture.hpp"

namespace domus::hypercall {

class Domctl : public HypercallTest {
  protected:
    // As a PV guest's by default, small.
    static xen_domctl_createdomain small(u32 vcpus = 2) {
        xen_domctl_createdomain c{};
        c.max_vcpus = vcpus;
        c.max_evtchn_port = 1023;
        c.max_grant_frames = c.max_maptrack_frames = -1;
        c.grant_opts = XEN_DOMCTL_GRANT_version(2);
        return c;
    }
    s64 call(u32 command, u16 id) {
        op.cmd = command;
        op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        op.domain = id;
        put(0, op);
        const s64 result = run(__HYPERVISOR_domctl, at(0));
        op = get<xen_domctl_t>(0);
        return result;
    }
    u16 create(u16 id, u32 vcpus = 2, bool with_vcpus = false) {
        op.u.createdomain = small(vcpus);
        EXPECT_EQ(call(XEN_DOMCTL_createdomain, id), 0);
        const u16 made = op.domain;
        if (with_vcpus) {
            op.u.max_vcpus.max = vcpus;
            EXPECT_EQ(call(XEN_DOMCTL_max_vcpus, made), 0);
        }
        return made;
    }
    void destroy_by_call(u16 id) {
        EXPECT_EQ(call(XEN_DOMCTL_destroydomain, id), 0);
        quiesce();
        act_as(vcpu);
    }

    xen_domctl_t op{};
};

}  // namespace domus::hypercall
