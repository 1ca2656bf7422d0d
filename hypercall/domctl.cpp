// SPDX-License-Identifier: GPL-2.0-or-later
// domctl (36): the toolstack's operations on domains: the rows, and what is common to all of them.
#include "hypercall/domctl.hpp"

#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "hypercall/families.hpp"
#include "hypercall/target.hpp"

namespace domus::hypercall {

namespace {

template <auto F>
constexpr DomctlRow row(u32 number, const char* name) {
    return command<F, Domain&>(number, name, Who::control);
}

constexpr DomctlRow kList[] = {
    // domctl_create.cpp
    row<&domctl_max_vcpus>(XEN_DOMCTL_max_vcpus, "max_vcpus"),
    row<&domctl_max_mem>(XEN_DOMCTL_max_mem, "max_mem"),
    row<&domctl_destroydomain>(XEN_DOMCTL_destroydomain, "destroydomain"),
    row<&domctl_hypercall_init>(XEN_DOMCTL_hypercall_init, "hypercall_init"),
    // domctl_life.cpp
    row<&domctl_pausedomain>(XEN_DOMCTL_pausedomain, "pausedomain"),
    row<&domctl_unpausedomain>(XEN_DOMCTL_unpausedomain, "unpausedomain"),
    row<&domctl_resumedomain>(XEN_DOMCTL_resumedomain, "resumedomain"),
    row<&domctl_subscribe>(XEN_DOMCTL_subscribe, "subscribe"),
    row<&domctl_set_virq_handler>(XEN_DOMCTL_set_virq_handler, "set_virq_handler"),
    row<&domctl_sendtrigger>(XEN_DOMCTL_sendtrigger, "sendtrigger"),
    row<&domctl_setdomainhandle>(XEN_DOMCTL_setdomainhandle, "setdomainhandle"),
    row<&domctl_settimeoffset>(XEN_DOMCTL_settimeoffset, "settimeoffset"),
    // domctl_info.cpp
    row<&domctl_getvcpuinfo>(XEN_DOMCTL_getvcpuinfo, "getvcpuinfo"),
    row<&domctl_getpageframeinfo3>(XEN_DOMCTL_getpageframeinfo3, "getpageframeinfo3"),
    // domctl_context.cpp
    row<&domctl_setvcpucontext>(XEN_DOMCTL_setvcpucontext, "setvcpucontext"),
    row<&domctl_getvcpucontext>(XEN_DOMCTL_getvcpucontext, "getvcpucontext"),
    row<&domctl_get_ext_vcpucontext>(XEN_DOMCTL_get_ext_vcpucontext, "get_ext_vcpucontext"),
    row<&domctl_set_ext_vcpucontext>(XEN_DOMCTL_set_ext_vcpucontext, "set_ext_vcpucontext"),
    // domctl_vector.cpp
    row<&domctl_getvcpuextstate>(XEN_DOMCTL_getvcpuextstate, "getvcpuextstate"),
    row<&domctl_setvcpuextstate>(XEN_DOMCTL_setvcpuextstate, "setvcpuextstate"),
    // domctl_shadow.cpp
    row<&domctl_shadow_op>(XEN_DOMCTL_shadow_op, "shadow_op"),
    // domctl_debug.cpp
    row<&domctl_setdebugging>(XEN_DOMCTL_setdebugging, "setdebugging"),
    row<&domctl_gdbsx_guestmemio>(XEN_DOMCTL_gdbsx_guestmemio, "gdbsx_guestmemio"),
    row<&domctl_gdbsx_pausevcpu>(XEN_DOMCTL_gdbsx_pausevcpu, "gdbsx_pausevcpu"),
    row<&domctl_gdbsx_unpausevcpu>(XEN_DOMCTL_gdbsx_unpausevcpu, "gdbsx_unpausevcpu"),
    row<&domctl_gdbsx_domstatus>(XEN_DOMCTL_gdbsx_domstatus, "gdbsx_domstatus"),
    // domctl_devices.cpp
    row<&domctl_iomem_permission>(XEN_DOMCTL_iomem_permission, "iomem_permission"),
    row<&domctl_ioport_permission>(XEN_DOMCTL_ioport_permission, "ioport_permission"),
    row<&domctl_irq_permission>(XEN_DOMCTL_irq_permission, "irq_permission"),
    row<&domctl_memory_mapping>(XEN_DOMCTL_memory_mapping, "memory_mapping"),
    row<&domctl_bind_pt_irq>(XEN_DOMCTL_bind_pt_irq, "bind_pt_irq"),
    row<&domctl_bind_pt_irq>(XEN_DOMCTL_unbind_pt_irq, "unbind_pt_irq"),
    row<&domctl_set_target>(XEN_DOMCTL_set_target, "set_target"),
    // psr.cpp
    row<&domctl_psr_cmt_op>(XEN_DOMCTL_psr_cmt_op, "psr_cmt_op"),
    row<&domctl_psr_alloc>(XEN_DOMCTL_psr_alloc, "psr_alloc"),
    // vnuma.cpp
    row<&domctl_setvnumainfo>(XEN_DOMCTL_setvnumainfo, "setvnumainfo"),
    // domctl_sched.cpp
    row<&domctl_setvcpuaffinity>(XEN_DOMCTL_setvcpuaffinity, "setvcpuaffinity"),
    row<&domctl_getvcpuaffinity>(XEN_DOMCTL_getvcpuaffinity, "getvcpuaffinity"),
    row<&domctl_setnodeaffinity>(XEN_DOMCTL_setnodeaffinity, "setnodeaffinity"),
    row<&domctl_getnodeaffinity>(XEN_DOMCTL_getnodeaffinity, "getnodeaffinity"),
    row<&domctl_scheduler_op>(XEN_DOMCTL_scheduler_op, "scheduler_op"),
    // domctl_cpu.cpp
    row<&domctl_get_cpu_policy>(XEN_DOMCTL_get_cpu_policy, "get_cpu_policy"),
    row<&domctl_set_cpu_policy>(XEN_DOMCTL_set_cpu_policy, "set_cpu_policy"),
    row<&domctl_gettscinfo>(XEN_DOMCTL_gettscinfo, "gettscinfo"),
    row<&domctl_settscinfo>(XEN_DOMCTL_settscinfo, "settscinfo"),
    row<&domctl_get_address_size>(XEN_DOMCTL_get_address_size, "get_address_size"),
    row<&domctl_set_address_size>(XEN_DOMCTL_set_address_size, "set_address_size"),
    row<&domctl_get_vcpu_msrs>(XEN_DOMCTL_get_vcpu_msrs, "get_vcpu_msrs"),
    row<&domctl_set_vcpu_msrs>(XEN_DOMCTL_set_vcpu_msrs, "set_vcpu_msrs"),
};
constexpr Commands kCommands("domctl", kList);

template <auto F>
constexpr DomctlOpenRow open_row(u32 number, const char* name) {
    return command<F, DomctlHeader&>(number, name, Who::control);
}

constexpr DomctlOpenRow kOpenList[] = {
    // domctl_create.cpp
    open_row<&domctl_createdomain>(XEN_DOMCTL_createdomain, "createdomain"),
    // domctl_info.cpp
    open_row<&domctl_getdomaininfo>(XEN_DOMCTL_getdomaininfo, "getdomaininfo"),
    // domctl_devices.cpp
    open_row<&domctl_no_iommu>(XEN_DOMCTL_assign_device, "assign_device"),
    open_row<&domctl_no_iommu>(XEN_DOMCTL_test_assign_device, "test_assign_device"),
    open_row<&domctl_no_iommu>(XEN_DOMCTL_deassign_device, "deassign_device"),
    open_row<&domctl_no_iommu>(XEN_DOMCTL_get_device_group, "get_device_group"),
};
constexpr Commands kOpenCommands("domctl", kOpenList);

Value call_command(Caller& caller, DomctlHeader& header, GuestAddr structure) {
    if (kOpenCommands.find(header.command) != nullptr)
        return kOpenCommands.call(caller, header.command, header, structure);
    if (kCommands.find(header.command) == nullptr) {
        name_missing(caller, "domctl", header.command);
        return fail(Error::nosys);
    }
    Domain* d = TRY(target_domain(caller, header.domain));
    // Not gone while we have it, even where the operation waits.
    const core::DomainRef keep = core::DomainRef::get(*d);
    if (!keep) return fail(Error::srch);
    const core::ControlHold alone = core::ControlHold::try_take(*d);
    if (!alone) return fail(Error::restart);
    return kCommands.call(caller, header.command, *d, structure);
}

}  // namespace

Preemptible<GuestAddr> domctl(Caller& caller, GuestAddr op) {
    DomctlHeader header = TRY(op.in<DomctlHeader>().read());
    if (header.version != XEN_DOMCTL_INTERFACE_VERSION) return fail(Error::access);
    const u16 asked = header.domain;
    const Value done = call_command(caller, header, op.offset(sizeof header));
    if (!done && done.error() == Error::restart) return again(op);
    if (done && header.domain != asked) TRY(op.out<DomctlHeader>().write(header));
    return done;
}

}  // namespace domus::hypercall
