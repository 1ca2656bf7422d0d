// SPDX-License-Identifier: GPL-2.0-or-later
// What pv/ supplies of the port, in the hypervisor; host builds have fakes in its place.
#include "core/domain.hpp"
#include "port/context.hpp"
#include "port/pv_hw.hpp"
#include "pv/context.hpp"

namespace domus::port {

Result<> vcpu_set_context(Vcpu& v, const void* context) {
    return pv::set_context(v, *static_cast<const vcpu_guest_context_t*>(context));
}

void vcpu_get_context(const Vcpu& v, void* context) {
    pv::get_context(v, *static_cast<vcpu_guest_context_t*>(context));
}

Result<> vcpu_drop_context(Vcpu& v) { return pv::drop_context(v); }

void crash_current_domain(Vcpu& v) { core::shut_down_domain(*v.domain, SHUTDOWN_crash); }

}  // namespace domus::port
