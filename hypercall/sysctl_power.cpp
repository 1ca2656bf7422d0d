// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl: CPUs that come and go, and what is known of their idle states. There are no frequencies to choose,
// and the only idle state is HLT, which ACPI counts as C1.
#include <algorithm>

#include "base/log.hpp"
#include "core/cpupool.hpp"
#include "core/scheduler.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/sysctl.hpp"
#include "port/cpu.hpp"
#include "port/time.hpp"

namespace domus::hypercall {

namespace {

constexpr u32 kIdleStates = 2;  // C0, which is running, and C1

Result<> idle_statistics(CpuId cpu, pm_cx_stat& out) {
    const Nanos now = port::now();
    const auto idle = core::scheduler().idle_times(cpu, now);
    const u64 times[kIdleStates] = {static_cast<u64>(now - idle.time), static_cast<u64>(idle.time)};
    const u64 entries[kIdleStates] = {idle.entries, idle.entries};  // who goes idle comes back
    const u32 count = std::min(out.nr, kIdleStates);
    const GuestAddr triggers = address_of(out.triggers), residencies = address_of(out.residencies);
    if (count != 0 && !triggers.null()) TRY(triggers.out<u64>().write(0, entries, count));
    if (count != 0 && !residencies.null()) TRY(residencies.out<u64>().write(0, times, count));
    out.nr = kIdleStates;
    out.last = 0;
    out.idle_time = static_cast<u64>(idle.time);
    out.nr_pc = out.nr_cc = 0;
    return {};
}

}  // namespace

Result<> sysctl_cpu_hotplug(Caller& caller, const xen_sysctl_cpu_hotplug& arg) {
    switch (arg.op) {
        case XEN_SYSCTL_CPU_HOTPLUG_ONLINE: return core::bring_cpu_online(CpuId(arg.cpu));
        case XEN_SYSCTL_CPU_HOTPLUG_OFFLINE: return core::take_cpu_offline(CpuId(arg.cpu));
        default: break;
    }
    name_missing(caller, "cpu_hotplug", arg.op);
    return fail(Error::opnotsupp);
}

Result<> sysctl_get_pmstat(Caller&, xen_sysctl_get_pmstat& arg) {
    const CpuId cpu(arg.cpuid);
    if (!core::cpu_online(cpu)) return fail(Error::inval);
    switch (arg.type) {
        case PMSTAT_get_max_cx: arg.u.getcx.nr = kIdleStates; return {};
        case PMSTAT_get_cxstat: return idle_statistics(cpu, arg.u.getcx);
        default: return fail(Error::nodev);  // no frequencies; and statistics that nobody resets
    }
}

Result<> sysctl_pm_op(Caller& caller, xen_sysctl_pm_op& arg) {
    if (!core::cpu_online(CpuId(arg.cpuid))) return fail(Error::inval);
    if ((arg.cmd & PM_PARA_CATEGORY_MASK) == CPUFREQ_PARA) return fail(Error::inval);
    switch (arg.cmd) {
        case XEN_SYSCTL_pm_op_get_max_cstate:
            // The number of the CPU chooses what is asked for: the state or its sub-state.
            arg.u.get_max_cstate = arg.cpuid == 0 ? kIdleStates - 1 : XEN_SYSCTL_CX_UNLIMITED;
            return {};
        case XEN_SYSCTL_pm_op_set_max_cstate:
            // Nothing deeper than C1 is ever used; an idle loop that does not halt is not to be had.
            if (arg.cpuid != 0 || arg.u.set_max_cstate >= kIdleStates - 1) return {};
            guest_log(Level::warning, "d{}: CPUs halt when they idle, also with a limit of C0",
                      caller.domain.id);
            return fail(Error::opnotsupp);
        case XEN_SYSCTL_pm_op_enable_turbo:
        case XEN_SYSCTL_pm_op_disable_turbo: return fail(Error::access);
        default: name_missing(caller, "pm_op", arg.cmd); return fail(Error::nosys);
    }
}

}  // namespace domus::hypercall
