// SPDX-License-Identifier: GPL-2.0-or-later
// A domain: memory, vCPUs, event channels, grants. Each subsystem's part is a struct of its own header.
#pragma once

#include <span>

#include "abi/xen.hpp"
#include "base/types.hpp"
#include "core/vcpu.hpp"

namespace domus {

struct Domain {
    DomId id{};
    bool privileged = false;  // the control domain: may use the toolstack and platform operations
    bool hardware = false;    // the hardware domain: owns devices and interrupts
    u64 vm_assist = 0;        // VMASST_TYPE_* bits

    Vcpu** vcpus = nullptr;  // max_vcpus pointers, null where not created
    u32 max_vcpus = 0;

    shared_info_t* shared = nullptr;  // through the direct map
    Mfn shared_mfn = kNoMfn;

    Vcpu* vcpu(VcpuId v) const { return v.v < max_vcpus ? vcpus[v.v] : nullptr; }
};

}  // namespace domus
