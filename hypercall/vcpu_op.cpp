// SPDX-License-Identifier: GPL-2.0-or-later
// vcpu_op (24) and set_timer_op (15): the caller's domain's vCPUs, their timers and memory areas.
#include "core/vcpu_op.hpp"

#include "abi/xen.hpp"
#include "core/vcpu_time.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/vcpu_context.hpp"
#include "mm/box.hpp"
#include "port/time.hpp"

namespace domus::hypercall {

namespace {

// Every command names a vCPU, by its number.
using Which = VcpuId;

// A command that reads only the vCPU that it names.
Result<Vcpu*> named(Caller& caller, Which which) { return core::named_vcpu(caller.domain, which); }

// Commands that act on the CPU's own address space or timer: only for oneself.
Result<Vcpu*> oneself(Caller& caller, Which which) {
    if (which != caller.vcpu.id) return fail(Error::inval);
    return &caller.vcpu;
}

template <class L>
Result<> initialise(Caller& caller, Which which, GuestAddr arg) {
    // 5 KiB: not for the stack.
    Box<vcpu_guest_context_t> context = TRY(make<vcpu_guest_context_t>());
    TRY(read_context(sizeof(typename L::Long) == 4, arg.raw(), *context));
    return core::vcpu_initialise(caller.domain, which, &*context);
}

Result<> up(Caller& caller, Which which) { return core::vcpu_up(caller.domain, which); }
Result<> down(Caller& caller, Which which) { return core::vcpu_down(caller.domain, which); }
Result<s64> is_up(Caller& caller, Which which) {
    return s64{TRY(core::vcpu_is_up(caller.domain, which)) ? 1 : 0};
}

Result<> get_runstate_info(Caller& caller, Which which, Out<vcpu_runstate_info_t>& out) {
    Vcpu* v = TRY(named(caller, which));
    out.v = core::runstate(*v, port::now());
    return {};
}

Result<> register_runstate_memory_area(Caller& caller, Which which,
                                       const vcpu_register_runstate_memory_area_t& arg) {
    Vcpu* v = TRY(named(caller, which));
    return core::register_runstate_area(*v, arg.addr.p, port::now());
}

Result<> register_vcpu_time_memory_area(Caller& caller, Which which,
                                        const vcpu_register_time_memory_area_t& arg) {
    Vcpu* v = TRY(named(caller, which));
    return core::register_time_area(*v, arg.addr.p);
}

Result<> set_periodic_timer(Caller& caller, Which which, const vcpu_set_periodic_timer_t& arg) {
    Vcpu* v = TRY(named(caller, which));
    return core::set_periodic_timer(*v, arg.period_ns, port::now());
}

Result<> stop_periodic_timer(Caller& caller, Which which) {
    core::stop_periodic_timer(*TRY(named(caller, which)));
    return {};
}

Result<> set_singleshot_timer(Caller& caller, Which which, const vcpu_set_singleshot_timer_t& arg) {
    Vcpu* v = TRY(oneself(caller, which));
    return core::set_singleshot_timer(*v, arg.timeout_abs_ns, arg.flags, port::now());
}

Result<> stop_singleshot_timer(Caller& caller, Which which) {
    return core::stop_singleshot_timer(*TRY(oneself(caller, which)));
}

Result<> register_vcpu_info(Caller& caller, Which which, const vcpu_register_vcpu_info_t& arg) {
    return core::register_vcpu_info(caller.domain, which, Mfn(arg.mfn), arg.offset);
}

Result<> send_nmi(Caller& caller, Which which) { return core::vcpu_send_nmi(caller.domain, which); }

Result<> get_physid(Caller& caller, Which which, Out<vcpu_get_physid_t>& out) {
    out.v.phys_id = TRY(core::vcpu_physid(caller.domain, which));
    return {};
}

template <class L>
constexpr Command<Which> kList[] = {
    command<L, &initialise<L>, Which>(VCPUOP_initialise, "initialise"),
    command<L, &up, Which>(VCPUOP_up, "up"),
    command<L, &down, Which>(VCPUOP_down, "down"),
    command<L, &is_up, Which>(VCPUOP_is_up, "is_up"),
    command<L, &get_runstate_info, Which>(VCPUOP_get_runstate_info, "get_runstate_info"),
    command<L, &register_runstate_memory_area, Which>(VCPUOP_register_runstate_memory_area,
                                                      "register_runstate_memory_area"),
    command<L, &set_periodic_timer, Which>(VCPUOP_set_periodic_timer, "set_periodic_timer"),
    command<L, &stop_periodic_timer, Which>(VCPUOP_stop_periodic_timer, "stop_periodic_timer"),
    command<L, &set_singleshot_timer, Which>(VCPUOP_set_singleshot_timer, "set_singleshot_timer"),
    command<L, &stop_singleshot_timer, Which>(VCPUOP_stop_singleshot_timer, "stop_singleshot_timer"),
    command<L, &register_vcpu_info, Which>(VCPUOP_register_vcpu_info, "register_vcpu_info"),
    command<L, &send_nmi, Which>(VCPUOP_send_nmi, "send_nmi"),
    command<L, &get_physid, Which>(VCPUOP_get_physid, "get_physid"),
    command<L, &register_vcpu_time_memory_area, Which>(VCPUOP_register_vcpu_time_memory_area,
                                                       "register_vcpu_time_memory_area"),
};
template <class L>
constexpr Commands kCommands("vcpu_op", kList<L>);

}  // namespace

template <class L>
Preemptible<u32, VcpuId, GuestAddr> vcpu_op(Caller& caller, u32 command, VcpuId vcpu, GuestAddr arg) {
    // Commands name a vCPU of the domain, all of them: say so before the structure is looked at.
    if (kCommands<L>.find(command) != nullptr) TRY(core::named_vcpu(caller.domain, vcpu));
    const Value done = kCommands<L>.call(caller, command, vcpu, arg);
    // Only the validation of a new context's page tables takes long; it keeps its progress in the tables.
    if (!done && done.error() == Error::restart) return again(command, vcpu, arg);
    return done;
}

Result<> set_timer_op(Caller& caller, u64 when) {
    core::set_timer_op(caller.vcpu, when);
    return {};
}

template Preemptible<u32, VcpuId, GuestAddr> vcpu_op<Layout64>(Caller& caller, u32 command, VcpuId vcpu,
                                                               GuestAddr arg);
template Preemptible<u32, VcpuId, GuestAddr> vcpu_op<Layout32>(Caller& caller, u32 command, VcpuId vcpu,
                                                               GuestAddr arg);

}  // namespace domus::hypercall
