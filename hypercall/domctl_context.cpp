// SPDX-License-Identifier: GPL-2.0-or-later
// domctl: the state of a vCPU, taken and given as a whole.
#include <cstring>

#include "core/domain.hpp"
#include "core/vcpu_op.hpp"
#include "core/vcpu_time.hpp"
#include "hypercall/domctl.hpp"
#include "hypercall/domctl_vcpu.hpp"
#include "hypercall/vcpu_context.hpp"
#include "mm/box.hpp"
#include "port/context.hpp"
#include "pv/address.hpp"
#include "pv/descriptors.hpp"
#include "pv/vm_assist.hpp"

namespace domus::hypercall {

Result<> domctl_setvcpucontext(Caller& caller, Domain& d, const xen_domctl_vcpucontext& arg) {
    Vcpu& v = *TRY(vcpu_of_another(caller, d, arg.vcpu));
    if (d.dying.load() != Dying::no) return fail(Error::inval);
    const u64 from = reinterpret_cast<u64>(arg.ctxt.p);
    const Stopped stopped(v);
    if (from == 0) return core::vcpu_reset(v);

    // 5 KiB: not for the stack.
    Box<vcpu_guest_context_t> context = TRY(make<vcpu_guest_context_t>());
    TRY(read_context(d.is_32bit, from, *context));
    // The domain's assists travel with its first vCPU, and decide what its tables may look like.
    if (v.id == VcpuId(0)) {
        d.vm_assist = context->vm_assist & pv::kAssistTypes;
        // Builders have cleared the shared info page by now, and with it the time.
        core::publish_wall_clock(d);
    }
    return core::vcpu_replace_context(v, &*context, (context->flags & VGCF_online) != 0);
}

Result<> domctl_getvcpucontext(Caller& caller, Domain& d, const xen_domctl_vcpucontext& arg) {
    Vcpu& v = *TRY(vcpu_of_another(caller, d, arg.vcpu));
    if (!v.initialised.load()) return fail(Error::nodata);
    Box<vcpu_guest_context_t> context = TRY(make<vcpu_guest_context_t>());
    {
        const Stopped stopped(v);
        port::vcpu_get_context(v, &*context);
    }
    if (v.online.load()) context->flags |= VGCF_online;
    return write_context(d.is_32bit, *context, reinterpret_cast<u64>(arg.ctxt.p));
}

// The entry points of 32-bit system calls, and the machine-check banks, of which a guest has none.
Result<> domctl_get_ext_vcpucontext(Caller&, Domain& d, xen_domctl_ext_vcpucontext& arg) {
    const Vcpu* v = d.vcpu(VcpuId(arg.vcpu));
    if (v == nullptr) return fail(Error::srch);
    const u32 id = arg.vcpu;
    std::memset(&arg, 0, sizeof arg);
    arg.vcpu = id;
    arg.size = sizeof arg;
    arg.syscall32_callback_eip = v->pv.syscall32_callback;
    arg.sysenter_callback_eip = v->pv.sysenter_callback;
    arg.syscall32_disables_events = v->pv.syscall32_masks_events;
    arg.sysenter_disables_events = v->pv.sysenter_masks_events;
    if (d.is_32bit) {  // kernels of 64 bits have one code segment
        arg.syscall32_callback_cs = v->pv.syscall32_cs;
        arg.sysenter_callback_cs = v->pv.sysenter_cs;
    }
    return {};
}

Result<> domctl_set_ext_vcpucontext(Caller& caller, Domain& d, const xen_domctl_ext_vcpucontext& arg) {
    Vcpu& v = *TRY(vcpu_of_another(caller, d, arg.vcpu));
    if (arg.size < offsetof(xen_domctl_ext_vcpucontext, mcg_cap)) return fail(Error::inval);
    if (!pv::canonical(arg.syscall32_callback_eip) || !pv::canonical(arg.sysenter_callback_eip))
        return fail(Error::inval);
    const Stopped stopped(v);
    v.pv.syscall32_callback = arg.syscall32_callback_eip;
    v.pv.sysenter_callback = arg.sysenter_callback_eip;
    v.pv.syscall32_masks_events = arg.syscall32_disables_events != 0;
    v.pv.sysenter_masks_events = arg.sysenter_disables_events != 0;
    if (d.is_32bit) {
        const auto selector = [](u16 cs) { return cs == 0 ? u16{0} : pv::guest_selector(true, cs); };
        v.pv.syscall32_cs = selector(arg.syscall32_callback_cs);
        v.pv.sysenter_cs = selector(arg.sysenter_callback_cs);
    }
    return {};
}

}  // namespace domus::hypercall
