// SPDX-License-Identifier: GPL-2.0-or-later
// event_channel_op (32) and its predecessor (16): decoding for core/evtchn.
#include "core/evtchn.hpp"

#include "abi/xen.hpp"
#include "core/event_fifo.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/target.hpp"
#include "port/cpu.hpp"

namespace domus::hypercall {

namespace {

Result<> alloc_unbound(Caller& caller, evtchn_alloc_unbound_t& arg) {
    Domain* d = TRY(target_domain(caller, arg.dom));
    const DomId remote = resolve_id(caller, arg.remote_dom);
    arg.port = TRY(core::alloc_unbound(*d, remote)).v;
    return {};
}

Result<> bind_interdomain(Caller& caller, evtchn_bind_interdomain_t& arg) {
    const DomId remote = resolve_id(caller, arg.remote_dom);
    arg.local_port = TRY(core::bind_interdomain(caller.domain, remote, EvtPort(arg.remote_port))).v;
    return {};
}

Result<> bind_virq(Caller& caller, evtchn_bind_virq_t& arg) {
    arg.port = TRY(core::bind_virq(caller.domain, arg.virq, VcpuId(arg.vcpu))).v;
    return {};
}

Result<> bind_ipi(Caller& caller, evtchn_bind_ipi_t& arg) {
    arg.port = TRY(core::bind_ipi(caller.domain, VcpuId(arg.vcpu))).v;
    return {};
}

Result<> bind_pirq(Caller& caller, evtchn_bind_pirq_t& arg) {
    arg.port = TRY(core::bind_pirq(caller.domain, Pirq(arg.pirq), arg.flags)).v;
    return {};
}

Result<> close(Caller& caller, const evtchn_close_t& arg) {
    return core::close_port(caller.domain, EvtPort(arg.port));
}

Result<> send(Caller& caller, const evtchn_send_t& arg) {
    return core::send_event(caller.domain, EvtPort(arg.port));
}

Result<> status(Caller& caller, evtchn_status_t& arg) {
    Domain* d = TRY(target_domain(caller, arg.dom));
    const u16 dom = arg.dom;
    const evtchn_port_t port = arg.port;
    arg = TRY(core::port_status(*d, EvtPort(port)));
    arg.dom = dom;
    arg.port = port;
    return {};
}

Result<> bind_vcpu(Caller& caller, const evtchn_bind_vcpu_t& arg) {
    return core::bind_port_to_vcpu(caller.domain, EvtPort(arg.port), VcpuId(arg.vcpu));
}

Result<> unmask(Caller& caller, const evtchn_unmask_t& arg) {
    return core::unmask_port(caller.domain, EvtPort(arg.port));
}

Result<> init_control(Caller& caller, evtchn_init_control_t& arg) {
    TRY(core::init_fifo_control(caller.domain, VcpuId(arg.vcpu), Mfn(arg.control_gfn), arg.offset));
    arg.link_bits = EVTCHN_FIFO_LINK_BITS;
    return {};
}

Result<> expand_array(Caller& caller, const evtchn_expand_array_t& arg) {
    return core::expand_fifo_array(caller.domain, Mfn(arg.array_gfn));
}

Result<> set_priority(Caller& caller, const evtchn_set_priority_t& arg) {
    return core::set_port_priority(caller.domain, EvtPort(arg.port), arg.priority);
}

constexpr Command<> kList[] = {
    command<&bind_interdomain>(EVTCHNOP_bind_interdomain, "bind_interdomain"),
    command<&bind_virq>(EVTCHNOP_bind_virq, "bind_virq"),
    command<&bind_pirq>(EVTCHNOP_bind_pirq, "bind_pirq"),
    command<&close>(EVTCHNOP_close, "close"),
    command<&send>(EVTCHNOP_send, "send"),
    command<&status>(EVTCHNOP_status, "status"),
    command<&alloc_unbound>(EVTCHNOP_alloc_unbound, "alloc_unbound"),
    command<&bind_ipi>(EVTCHNOP_bind_ipi, "bind_ipi"),
    command<&bind_vcpu>(EVTCHNOP_bind_vcpu, "bind_vcpu"),
    command<&unmask>(EVTCHNOP_unmask, "unmask"),
    command<&init_control>(EVTCHNOP_init_control, "init_control"),
    command<&expand_array>(EVTCHNOP_expand_array, "expand_array"),
    command<&set_priority>(EVTCHNOP_set_priority, "set_priority"),
};
constexpr Commands kCommands("event_channel_op", kList);

// reset alone is long: it goes on at a port number, which travels in the upper bits of the command.
constexpr unsigned kCommandBits = 8;
static_assert(core::kMaxPorts <= u64{1} << (32 - kCommandBits));

}  // namespace

Preemptible<u32, GuestAddr> event_channel_op(Caller& caller, u32 command, GuestAddr arg) {
    if ((command & ((1u << kCommandBits) - 1)) != EVTCHNOP_reset) {
        return kCommands.call(caller, command, arg);
    }
    const auto reset = TRY(arg.in<evtchn_reset_t>().read());
    Domain* d = TRY(target_domain(caller, reset.dom));
    u32 next = command >> kCommandBits;
    const Result<> done = core::reset_events(*d, next);
    if (!done && done.error() == Error::restart) {
        return again(u32{EVTCHNOP_reset} | next << kCommandBits, arg);
    }
    return done;
}

Result<s64> event_channel_op_compat(Caller& caller, GuestAddr op) {
    // {u32 command; union of the commands' structures}: the structure is used where it lies.
    const u32 command = TRY(op.in<u32>().read());
    return kCommands.call(caller, command, op.offset(offsetof(evtchn_op_t, u)));
}

}  // namespace domus::hypercall
