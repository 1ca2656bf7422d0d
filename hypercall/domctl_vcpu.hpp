// SPDX-License-Identifier: GPL-2.0-or-later
// What domctl's commands on a vCPU share.
#pragma once

#include "core/domain.hpp"
#include "hypercall/caller.hpp"

namespace domus::hypercall {

// EINVAL: vCPUs of the caller's own domain are busy, at least with this call. ESRCH: no such vCPU.
inline Result<Vcpu*> vcpu_of_another(const Caller& caller, const Domain& d, u32 id) {
    if (&d == &caller.domain) return fail(Error::inval);
    Vcpu* v = d.vcpu(VcpuId(id));
    if (v == nullptr) return fail(Error::srch);
    return v;
}

// On no CPU, for as long as this lives.
class Stopped {
  public:
    explicit Stopped(Vcpu& v) : v_(v) { core::pause_vcpu_sync(v); }
    Stopped(const Stopped&) = delete;
    Stopped& operator=(const Stopped&) = delete;
    ~Stopped() { core::unpause_vcpu(v_); }

  private:
    Vcpu& v_;
};

}  // namespace domus::hypercall
