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

Preemptible<GuestAddr> set_trap_table(Caller& caller, GuestAddr traps) {
    PvVcpu& pv = caller.vcpu.pv;
    if (traps.null()) {
        pv::clear_traps(pv);
        return s64{0};
    }
    // The list ends with a null address, not after 256 entries: a guest could make it as long as it likes.
    const auto list = traps.in<trap_info_t>();
    for (u32 n = 0;; n++) {
        if (n == pv::kTrapCount) return again(traps.offset(u64{n} * sizeof(trap_info_t)));
        if (n != 0 && n % 32 == 0 && port::preempt_wanted()) {
            return again(traps.offset(u64{n} * sizeof(trap_info_t)));
        }
        const trap_info_t info = TRY(list.read(n));
        if (info.address == 0) return s64{0};
        TRY(pv::set_trap(pv, info));
    }
}

Result<> set_callbacks(Caller& caller, GuestLong event, GuestLong failsafe, GuestLong syscall) {
    return pv::set_callbacks(caller.vcpu.pv, event.v, failsafe.v, syscall.v);
}

namespace {

Result<> callback_register(Caller& caller, const callback_register_t& arg) {
    return pv::register_callback(caller.vcpu.pv, arg.type, arg.flags, arg.address);
}
Result<> callback_unregister(Caller& caller, const callback_unregister_t& arg) {
    return pv::unregister_callback(caller.vcpu.pv, arg.type);
}
constexpr Command<> kCallbackList[] = {
    command<&callback_register>(CALLBACKOP_register, "register"),
    command<&callback_unregister>(CALLBACKOP_unregister, "unregister"),
};
constexpr Commands kCallbackCommands("callback_op", kCallbackList);

Result<> nmi_register(Caller& caller, const xennmi_callback_t& arg) {
    return pv::register_callback(caller.vcpu.pv, CALLBACKTYPE_nmi, 0, arg.handler_address);
}
Result<> nmi_unregister(Caller& caller) { return pv::unregister_callback(caller.vcpu.pv, CALLBACKTYPE_nmi); }
constexpr Command<> kNmiList[] = {
    command<&nmi_register>(XENNMI_register_callback, "register_callback"),
    command<&nmi_unregister>(XENNMI_unregister_callback, "unregister_callback"),
};
constexpr Commands kNmiCommands("nmi_op", kNmiList);

}  // namespace

Result<s64> callback_op(Caller& caller, u32 command, GuestAddr arg) {
    return kCallbackCommands.call(caller, command, arg);
}

Result<s64> nmi_op(Caller& caller, u32 command, GuestAddr arg) {
    return kNmiCommands.call(caller, command, arg);
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

Outcome iret(Caller& caller) {
    // In a list there would be nobody to go on with it.
    if (caller.in_multicall) return {.value = to_abi(Error::inval)};
    const Result<> done = pv::iret(caller.vcpu, caller.regs);
    if (!done) {
        log(Level::error, "d{}v{}: iret with a bad frame at {:#x} ({}): crashing the domain",
            caller.domain.id, caller.vcpu.id, caller.regs.rsp, done.error());
        port::crash_current_domain(caller.vcpu);
    }
    return {.then = Outcome::Then::leave_registers};
}

}  // namespace domus::hypercall
