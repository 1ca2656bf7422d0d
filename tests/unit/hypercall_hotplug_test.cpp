// SPDX-License-Identifier: GPL-2.0-or-later
// CPUs that come and go, and what is said of their power states. Errors are the reference's where it was
// asked.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/cpupool.hpp"
#include "core/scheduler.hpp"
#include "port/context.hpp"
#include "unit/cpupool_fixture.hpp"

namespace domus::hypercall {
namespace {

class Hotplug : public CpuPools {
  protected:
    s64 plug(u32 op, u32 cpu) {
        xen_sysctl_t s{};
        s.u.cpu_hotplug.cpu = cpu;
        s.u.cpu_hotplug.op = op;
        return sysctl(XEN_SYSCTL_cpu_hotplug, s);
    }
    s64 platform_call(u32 command, xen_platform_op_t& p) {
        return control(__HYPERVISOR_platform_op, XENPF_INTERFACE_VERSION, command, p);
    }
    s64 power(u32 command, u32 cpu, u32& value) {
        xen_sysctl_t s{};
        s.u.pm_op.cmd = command;
        s.u.pm_op.cpuid = cpu;
        s.u.pm_op.u.get_max_cstate = value;
        const s64 result = sysctl(XEN_SYSCTL_pm_op, s);
        value = s.u.pm_op.u.get_max_cstate;
        return result;
    }
    static constexpr u32 kOn = XEN_SYSCTL_CPU_HOTPLUG_ONLINE, kOff = XEN_SYSCTL_CPU_HOTPLUG_OFFLINE;
};

TEST_F(Hotplug, OfflineAndBack) {
    EXPECT_EQ(plug(kOff, 0), -EINVAL);
    EXPECT_EQ(plug(kOff, 99), -EINVAL);
    EXPECT_EQ(plug(kOn, 99), -EINVAL);
    EXPECT_EQ(plug(kOn, 1), -EEXIST);
    EXPECT_EQ(plug(XEN_SYSCTL_CPU_HOTPLUG_SMT_ENABLE, 0), -EOPNOTSUPP);
    EXPECT_EQ(plug(7, 0), -EOPNOTSUPP);
    EXPECT_EQ(plug(kOff, 1), 0);
    EXPECT_EQ(plug(kOff, 1), 0) << "it is already";

    xen_sysctl_t s{};
    ASSERT_EQ(sysctl(XEN_SYSCTL_physinfo, s), 0);
    EXPECT_EQ(s.u.physinfo.nr_cpus, 1u);
    EXPECT_EQ(s.u.physinfo.max_cpu_id, 1u);
    s = {};
    s.u.cputopoinfo.num_cpus = 2;
    set_handle(s.u.cputopoinfo.cputopo, at(kList));
    ASSERT_EQ(sysctl(XEN_SYSCTL_cputopoinfo, s), 0);
    EXPECT_EQ(get<u32>(kList, 6), (std::vector<u32>{0, 0, 0, ~0u, ~0u, 0}));
    EXPECT_EQ(cpus_of(0), 1);
    EXPECT_EQ(free_cpus(), 0) << "nobody may have it";
    EXPECT_EQ(add(0, 1), -ENODEV);
    xen_platform_op_t p{};
    p.u.pcpu_info.xen_cpuid = 1;
    ASSERT_EQ(platform_call(XENPF_get_cpuinfo, p), 0);
    EXPECT_EQ(p.u.pcpu_info.flags, 0u);
    Sets only{2, 2};
    EXPECT_EQ(set(0, 0, kHardFlag, only), -EINVAL);

    EXPECT_EQ(plug(kOn, 1), 0);
    EXPECT_EQ(cpus_of(0), 3);
    p.u.pcpu_info.xen_cpuid = 1;
    ASSERT_EQ(platform_call(XENPF_get_cpuinfo, p), 0);
    EXPECT_EQ(p.u.pcpu_info.flags, u32{XEN_PCPU_FLAGS_ONLINE});
    for (int i = 0; i < 50; i++) advance(kMillisecond);
    EXPECT_NE(core::scheduler().current(CpuId(1)), nullptr) << "it works again";
}

TEST_F(Hotplug, FromAnotherPoolOrNone) {
    ASSERT_EQ(create(5, XEN_SCHEDULER_CREDIT2), 0);
    ASSERT_EQ(remove(0, 1), 0);
    EXPECT_EQ(plug(kOff, 1), 0) << "free";
    EXPECT_EQ(plug(kOn, 1), 0);
    ASSERT_EQ(remove(0, 1), 0);
    ASSERT_EQ(add(5, 1), 0);
    EXPECT_EQ(plug(kOff, 1), 0);
    EXPECT_EQ(destroy_pool(5), 0);
    EXPECT_EQ(plug(kOn, 1), 0);
    EXPECT_EQ(cpus_of(0), 3);
}

TEST_F(Hotplug, AsTheHardwareDomainDoesIt) {
    xen_platform_op_t p{};
    p.u.cpu_ol.cpuid = 1;
    EXPECT_EQ(platform_call(XENPF_cpu_online, p), 0) << "it is";
    p.u.cpu_ol.cpuid = 77;
    EXPECT_EQ(platform_call(XENPF_cpu_online, p), -EINVAL);
    EXPECT_EQ(platform_call(XENPF_cpu_offline, p), -EINVAL);
    p.u.cpu_ol.cpuid = 0;
    EXPECT_EQ(platform_call(XENPF_cpu_offline, p), -EOPNOTSUPP);
    p.u.cpu_ol.cpuid = 1;
    EXPECT_EQ(platform_call(XENPF_cpu_offline, p), 0);
    EXPECT_EQ(core::online_cpus(), 1u);
    p.u.cpu_ol.cpuid = 1;
    EXPECT_EQ(platform_call(XENPF_cpu_online, p), 0);
    EXPECT_EQ(core::online_cpus(), 2u);
    p.u.cpu_add = {};
    EXPECT_EQ(platform_call(XENPF_cpu_hotadd, p), -EINVAL);
    p = {};
    p.u.core_parking.type = XEN_CORE_PARKING_GET;
    EXPECT_EQ(platform_call(XENPF_core_parking, p), 0);
    EXPECT_EQ(p.u.core_parking.idle_nums, 0u);
    p.u.core_parking.type = XEN_CORE_PARKING_SET;
    p.u.core_parking.idle_nums = 1;
    EXPECT_EQ(platform_call(XENPF_core_parking, p), -ENOSYS);
    p.u.core_parking.type = 9;
    EXPECT_EQ(platform_call(XENPF_core_parking, p), -EINVAL);
}

TEST_F(Hotplug, PowerInformation) {
    u32 value = 0;
    for (u32 op : {GET_CPUFREQ_PARA, SET_CPUFREQ_GOV, SET_CPUFREQ_PARA, GET_CPUFREQ_AVGFREQ})
        EXPECT_EQ(power(op, 0, value), -EINVAL);
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_get_max_cstate, 0, value), 0);
    EXPECT_EQ(value, 1u);
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_get_max_cstate, 99, value), -EINVAL);
    value = 3;
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_set_max_cstate, 0, value), 0);
    value = 0;
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_set_max_cstate, 0, value), -EOPNOTSUPP);
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_enable_turbo, 0, value), -EACCES);
    EXPECT_EQ(power(XEN_SYSCTL_pm_op_get_vcpu_migration_delay, 0, value), -ENOSYS);
    EXPECT_EQ(power(0, 0, value), -ENOSYS);

    xen_sysctl_t s{};
    const auto ask = [&](u32 type, u32 cpu) {
        s.u.get_pmstat.type = type;
        s.u.get_pmstat.cpuid = cpu;
        return sysctl(XEN_SYSCTL_get_pmstat, s);
    };
    EXPECT_EQ(ask(PMSTAT_get_max_px, 0), -ENODEV);
    EXPECT_EQ(ask(PMSTAT_get_max_cx, 99), -EINVAL);
    ASSERT_EQ(ask(PMSTAT_get_max_cx, 0), 0);
    EXPECT_EQ(s.u.get_pmstat.u.getcx.nr, 2u);
    idle(1);
    advance(5 * kMillisecond);
    set_handle(s.u.get_pmstat.u.getcx.triggers, at(kHard));
    set_handle(s.u.get_pmstat.u.getcx.residencies, at(kSoft));
    put(kSoft, std::vector<u64>(3, 77));
    ASSERT_EQ(ask(PMSTAT_get_cxstat, 1), 0);
    EXPECT_GE(get<u64>(kHard, 2)[1], 1u);
    const auto times = get<u64>(kSoft, 3);
    EXPECT_GE(times[1], 5'000'000u);
    EXPECT_EQ(times[0] + times[1], static_cast<u64>(machine.now));
    EXPECT_EQ(times[2], 77u);
    EXPECT_EQ(s.u.get_pmstat.u.getcx.idle_time, times[1]);
}

TEST_F(Hotplug, ProcessorPowerStatesAreHeard) {
    xen_platform_op_t p{};
    auto& info = p.u.set_pminfo;
    const auto call = [&](u32 type, u32 id) {
        info.type = type;
        info.id = id;
        return platform_call(XENPF_set_processor_pminfo, p);
    };
    EXPECT_EQ(call(XEN_PM_CX, port::acpi_id(CpuId(1))), 0);
    EXPECT_EQ(call(XEN_PM_PX, port::acpi_id(CpuId(0))), 0);
    EXPECT_EQ(call(XEN_PM_CX, 5000), -EINVAL);
    EXPECT_EQ(call(XEN_PM_TX, 0), -ENOSYS);
    put(kList, std::vector<u32>{1, 1, 0x3fff});
    set_handle(info.u.pdc, at(kList));
    EXPECT_EQ(call(XEN_PM_PDC, 0), 0);
    EXPECT_EQ(get<u32>(kList + 8) & 1u, 0u) << "no native performance states";
    EXPECT_NE(get<u32>(kList + 8), 0u);
    put(kList, std::vector<u32>{1, 0, 0x3fff});
    EXPECT_EQ(call(XEN_PM_PDC, 0), -EINVAL);
    set_handle(info.u.pdc, 0);
    EXPECT_EQ(call(XEN_PM_PDC, 0), -EFAULT);
    p = {};
    EXPECT_EQ(platform_call(XENPF_microcode_update, p), -EINVAL);
    p.u.microcode.length = 4096;
    EXPECT_EQ(platform_call(XENPF_microcode_update, p), -EINVAL);
}

std::vector<std::string> report;

TEST_F(Hotplug, AReportForPeople) {
    report.clear();
    ASSERT_EQ(create(5, XEN_SCHEDULER_RTDS), 0);
    ASSERT_EQ(plug(kOff, 1), 0);
    core::report_scheduler([](std::string_view line) { report.emplace_back(line); });
    const auto says = [](std::string_view text) {
        return std::any_of(report.begin(), report.end(),
                           [&](const auto& line) { return line.find(text) != std::string::npos; });
    };
    EXPECT_TRUE(says("pool 0: credit2, 1 domains"));
    EXPECT_TRUE(says("pool 5: rtds, 0 domains"));
    EXPECT_TRUE(says("vCPU 1"));
    EXPECT_TRUE(says("CPU 1 is offline"));
    EXPECT_EQ(plug(kOn, 1), 0);
}

}  // namespace
}  // namespace domus::hypercall
