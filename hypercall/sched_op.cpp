// SPDX-License-Identifier: GPL-2.0-or-later
// sched_op (29) and its predecessor (6): how a vCPU gives up its CPU, and how a domain ends.
#include "core/sched_op.hpp"

#include <array>

#include "abi/xen.hpp"
#include "core/affinity.hpp"
#include "core/domain.hpp"
#include "core/watchdog.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/target.hpp"
#include "port/time.hpp"

namespace domus::hypercall {

namespace {

Result<> yield(Caller& caller) {
    core::vcpu_yield(caller.vcpu);
    return {};
}

Result<> block(Caller& caller) {
    core::vcpu_block(caller.vcpu);
    return {};
}

Result<> poll(Caller& caller, const sched_poll_t& arg) {
    std::array<u32, core::kMaxPolledPorts> ports;
    if (arg.nr_ports > ports.size()) return fail(Error::inval);
    const GuestIn<u32> list(reinterpret_cast<u64>(arg.ports.p));
    if (arg.nr_ports != 0) TRY(list.read(0, ports.data(), arg.nr_ports));
    return core::vcpu_poll(caller.vcpu, std::span(ports).first(arg.nr_ports), arg.timeout);
}

Result<> shutdown(Caller& caller, const sched_shutdown_t& arg) {
    core::shut_down_domain(caller.domain, arg.reason);
    return {};
}

Result<> shutdown_code(Caller& caller, const sched_shutdown_t& arg) {
    core::set_shutdown_code(caller.domain, arg.reason);
    return {};
}

Result<> remote_shutdown(Caller& caller, const sched_remote_shutdown_t& arg) {
    // Only for other domains, and only the control domain names them.
    if (arg.domain_id == caller.domain.id.v || arg.domain_id == DOMID_SELF) return fail(Error::perm);
    core::shut_down_domain(*TRY(target_domain(caller, arg.domain_id)), arg.reason);
    return {};
}

Result<s64> watchdog(Caller& caller, const sched_watchdog_t& arg) {
    return s64{TRY(core::watchdog(caller.domain, arg.id, arg.timeout, port::now()))};
}

// Binds the calling vCPU to a CPU, or ends that (a negative number).
Result<> pin_override(Caller& caller, const sched_pin_override_t& arg) {
    if (arg.pcpu < 0) return core::override_affinity(caller.vcpu, std::nullopt);
    return core::override_affinity(caller.vcpu, CpuId(static_cast<u32>(arg.pcpu)));
}

template <class L>
constexpr Command<> kList[] = {
    command<L, &yield>(SCHEDOP_yield, "yield"),
    command<L, &block>(SCHEDOP_block, "block"),
    command<L, &shutdown>(SCHEDOP_shutdown, "shutdown"),
    command<L, &poll>(SCHEDOP_poll, "poll"),
    command<L, &remote_shutdown>(SCHEDOP_remote_shutdown, "remote_shutdown", Who::control),
    command<L, &shutdown_code>(SCHEDOP_shutdown_code, "shutdown_code"),
    command<L, &watchdog>(SCHEDOP_watchdog, "watchdog"),
    command<L, &pin_override>(SCHEDOP_pin_override, "pin_override", Who::hardware),
};
template <class L>
constexpr Commands kCommands("sched_op", kList<L>);

}  // namespace

template <class L>
Result<s64> sched_op(Caller& caller, u32 command, GuestAddr arg) {
    return kCommands<L>.call(caller, command, arg);
}

// The older form passes the shutdown reason itself.
Result<> sched_op_compat(Caller& caller, u32 command, GuestLong arg) {
    switch (command) {
        case SCHEDOP_yield: return yield(caller);
        case SCHEDOP_block: return block(caller);
        case SCHEDOP_shutdown: core::shut_down_domain(caller.domain, static_cast<u32>(arg.v)); return {};
        default: name_missing(caller, "sched_op_compat", command); return fail(Error::nosys);
    }
}

template Result<s64> sched_op<Layout64>(Caller& caller, u32 command, GuestAddr arg);
template Result<s64> sched_op<Layout32>(Caller& caller, u32 command, GuestAddr arg);

}  // namespace domus::hypercall
