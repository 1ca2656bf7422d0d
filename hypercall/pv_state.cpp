// SPDX-License-Identifier: GPL-2.0-or-later
// The hypercalls by which a PV kernel sets up its vCPU: handlers, entry points, stacks, segment bases, debug
// registers. The rules are in pv/.
#include <atomic>

#include "abi/xen.hpp"
#include "base/log.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "port/cpu.hpp"
#include "port/pv_hw.hpp"
#include "pv/debug_regs.hpp"
#include "pv/iret.hpp"
#include "pv/segment_base.hpp"
#include "pv/traps.hpp"
#include "pv/vm_assist.hpp"

namespace domus::hypercall {

template <class L>
Preemptible<GuestAddr> set_trap_table(Caller& caller, GuestAddr traps) {
    PvVcpu& pv = caller.vcpu.pv;
    if (traps.null()) {
        pv::clear_traps(pv);
        return s64{0};
    }
    // The list ends with a null address, not after 256 entries: a guest could make it as long as it likes.
    using W = Wire<L, trap_info_t>;
    const auto list = traps.in<typename W::Type>();
    for (u32 n = 0;; n++) {
        if (n == pv::kTrapCount) return again(traps.offset(u64{n} * sizeof(typename W::Type)));
        if (n != 0 && n % 32 == 0 && port::preempt_wanted()) {
            return again(traps.offset(u64{n} * sizeof(typename W::Type)));
        }
        const trap_info_t info = W::widen(TRY(list.read(n)));
        if (info.address == 0) return s64{0};
        TRY(pv::set_trap(pv, info));
    }
}

Result<> set_callbacks(Caller& caller, GuestLong event, GuestLong failsafe, GuestLong syscall) {
    return pv::set_callbacks(caller.vcpu.pv, event.v, failsafe.v, syscall.v);
}
Result<> set_callbacks32(Caller& caller, GuestLong event_cs, GuestLong event, GuestLong failsafe_cs,
                         GuestLong failsafe) {
    return pv::set_callbacks32(caller.vcpu.pv, static_cast<u16>(event_cs.v), event.v,
                               static_cast<u16>(failsafe_cs.v), failsafe.v);
}

namespace {

Result<> callback_register(Caller& caller, const callback_register_t& arg) {
    return pv::register_callback(caller.vcpu.pv, arg.type, arg.flags, arg.address);
}
Result<> callback_register32(Caller& caller, const abi32::CallbackRegister& arg) {
    return pv::register_callback(caller.vcpu.pv, arg.type, arg.flags, arg.eip, static_cast<u16>(arg.cs));
}
template <class L>
constexpr auto kCallbackRegister = &callback_register;
template <>
constexpr auto kCallbackRegister<Layout32> = &callback_register32;
Result<> callback_unregister(Caller& caller, const callback_unregister_t& arg) {
    return pv::unregister_callback(caller.vcpu.pv, arg.type);
}
template <class L>
constexpr Command<> kCallbackList[] = {
    command<L, kCallbackRegister<L>>(CALLBACKOP_register, "register"),
    command<L, &callback_unregister>(CALLBACKOP_unregister, "unregister"),
};
template <class L>
constexpr Commands kCallbackCommands("callback_op", kCallbackList<L>);

Result<> nmi_register(Caller& caller, const xennmi_callback_t& arg) {
    return pv::register_callback(caller.vcpu.pv, CALLBACKTYPE_nmi, 0, arg.handler_address);
}
Result<> nmi_register32(Caller& caller, const abi32::NmiCallback& arg) {
    return pv::register_callback(caller.vcpu.pv, CALLBACKTYPE_nmi, 0, arg.handler_address);
}
template <class L>
constexpr auto kNmiRegister = &nmi_register;
template <>
constexpr auto kNmiRegister<Layout32> = &nmi_register32;
Result<> nmi_unregister(Caller& caller) { return pv::unregister_callback(caller.vcpu.pv, CALLBACKTYPE_nmi); }
template <class L>
constexpr Command<> kNmiList[] = {
    command<L, kNmiRegister<L>>(XENNMI_register_callback, "register_callback"),
    command<L, &nmi_unregister>(XENNMI_unregister_callback, "unregister_callback"),
};
template <class L>
constexpr Commands kNmiCommands("nmi_op", kNmiList<L>);

}  // namespace

template <class L>
Result<s64> callback_op(Caller& caller, u32 command, GuestAddr arg) {
    return kCallbackCommands<L>.call(caller, command, arg);
}

template <class L>
Result<s64> nmi_op(Caller& caller, u32 command, GuestAddr arg) {
    return kNmiCommands<L>.call(caller, command, arg);
}

Result<> stack_switch(Caller& caller, GuestLong ss, GuestLong sp) {
    pv::set_kernel_stack(caller.vcpu.pv, ss.v, sp.v);
    return {};
}

Result<> fpu_taskswitch(Caller& caller, s32 set) {
    constexpr u64 kTaskSwitched = 1u << 3;  // CR0.TS
    PvVcpu& pv = caller.vcpu.pv;
    if (set != 0) {
        pv.cr0 |= kTaskSwitched;
    } else {
        pv.cr0 &= ~kTaskSwitched;
    }
    port::set_task_switched(caller.vcpu, set != 0);
    return {};
}

Result<> set_segment_base(Caller& caller, u32 which, GuestLong base) {
    return pv::set_segment_base(caller.vcpu, which, base.v);
}

Result<> set_debugreg(Caller& caller, u32 reg, GuestLong value) {
    TRY(pv::set_debug_reg(caller.vcpu.pv, reg, value.v));
    port::load_debug_regs(caller.vcpu);
    return {};
}

Result<s64> get_debugreg(Caller& caller, u32 reg) {
    return static_cast<s64>(TRY(pv::get_debug_reg(caller.vcpu.pv, reg)));
}

Result<> vm_assist(Caller& caller, u32 command, u32 type) {
    if (type >= 64 || (pv::kAssistTypes & pv::assist(type)) == 0) return fail(Error::inval);
    std::atomic_ref<u64> set(caller.domain.vm_assist);
    switch (command) {
        case VMASST_CMD_enable: set.fetch_or(pv::assist(type), std::memory_order_relaxed); return {};
        case VMASST_CMD_disable: set.fetch_and(~pv::assist(type), std::memory_order_relaxed); return {};
        default: return fail(Error::nosys);
    }
}

namespace {

using Iret = Result<> (*)(Vcpu&, GuestRegs&);
Outcome run_iret(Caller& caller, Iret iret) {
    // In a list there would be nobody to go on with it.
    if (caller.in_multicall) return {.value = to_abi(Error::inval)};
    const Result<> done = iret(caller.vcpu, caller.regs);
    if (!done) {
        log(Level::error, "d{}v{}: iret with a bad frame at {:#x} ({}): crashing the domain",
            caller.domain.id, caller.vcpu.id, caller.regs.rsp, done.error());
        port::crash_current_domain(caller.vcpu);
    }
    return {.then = Outcome::Then::leave_registers};
}

}  // namespace

Outcome iret(Caller& caller) { return run_iret(caller, &pv::iret); }
Outcome iret32(Caller& caller) { return run_iret(caller, &pv::iret32); }

template Preemptible<GuestAddr> set_trap_table<Layout64>(Caller& caller, GuestAddr traps);
template Preemptible<GuestAddr> set_trap_table<Layout32>(Caller& caller, GuestAddr traps);
template Result<s64> callback_op<Layout64>(Caller& caller, u32 command, GuestAddr arg);
template Result<s64> callback_op<Layout32>(Caller& caller, u32 command, GuestAddr arg);
template Result<s64> nmi_op<Layout64>(Caller& caller, u32 command, GuestAddr arg);
template Result<s64> nmi_op<Layout32>(Caller& caller, u32 command, GuestAddr arg);

}  // namespace domus::hypercall
