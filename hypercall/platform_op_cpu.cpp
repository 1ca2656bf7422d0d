// SPDX-License-Identifier: GPL-2.0-or-later
// platform_op: the machine's processors, for the control domain.
#include <cstring>

#include "base/log.hpp"
#include "core/cpupool.hpp"
#include "core/scheduler.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/platform.hpp"
#include "hypercall/platform_op.hpp"
#include "hypercall/refusal.hpp"
#include "port/context.hpp"
#include "port/cpu.hpp"
#include "port/time.hpp"

namespace domus::hypercall {

Result<> platform_get_cpuinfo(Caller&, xenpf_pcpuinfo_t& info) {
    const u32 cpus = port::cpu_count();
    info.max_present = cpus - 1;
    if (info.xen_cpuid >= cpus) {
        info.flags = XEN_PCPU_FLAGS_INVALID;
        info.apic_id = info.acpi_id = 0;
        return {};
    }
    info.flags = core::cpu_online(CpuId(info.xen_cpuid)) ? XEN_PCPU_FLAGS_ONLINE : 0;
    info.apic_id = port::apic_id(CpuId(info.xen_cpuid));
    info.acpi_id = port::acpi_id(CpuId(info.xen_cpuid));
    return {};
}

Result<> platform_get_cpu_version(Caller&, xenpf_pcpu_version_t& info) {
    if (platform().cpu_version == nullptr) return fail(Error::nosys);
    const u32 cpus = port::cpu_count();
    info.max_present = cpus - 1;
    std::memset(info.vendor_id, 0, sizeof info.vendor_id);
    info.family = info.model = info.stepping = 0;
    if (info.xen_cpuid >= cpus) return {};
    const CpuVersion v = platform().cpu_version(CpuId(info.xen_cpuid));
    std::memcpy(info.vendor_id, v.vendor, sizeof info.vendor_id);
    info.family = v.family;
    info.model = v.model;
    info.stepping = v.stepping;
    return {};
}

// Time each processor of a set has been idle, ns. The set comes back with those that exist.
Result<> platform_getidletime(Caller&, xenpf_getidletime_t& arg) {
    const u32 asked = arg.cpumap_nr_cpus;
    const GuestAddr map = address_of(arg.cpumap_bitmap), times = address_of(arg.idletime);
    const Nanos now = port::now();
    arg.now = static_cast<u64>(now);
    for (u32 byte = 0; byte < (u64{asked} + 7) / 8; byte++) {
        // Beyond the processors that exist there is one answer, and a guest's count has no bound.
        if (byte * 8 >= port::cpu_count()) break;
        const u8 wanted = TRY(map.in<u8>().read(byte));
        u8 present = 0;
        for (u32 bit = 0; bit < 8; bit++) {
            const u32 cpu = byte * 8 + bit;
            if ((wanted >> bit & 1) == 0 || cpu >= asked || cpu >= port::cpu_count()) continue;
            present = static_cast<u8>(present | 1u << bit);
            const u64 idle = static_cast<u64>(core::scheduler().idle_time(CpuId(cpu), now));
            TRY(times.out<u64>().write(idle, cpu));
        }
        TRY(map.out<u8>().write(present, byte));
    }
    return {};
}

// No effect on a CPU that is online.
Result<> platform_cpu_online(Caller&, const xenpf_cpu_ol_t& arg) {
    if (arg.cpuid >= port::cpu_count()) return fail(Error::inval);
    if (core::cpu_online(CpuId(arg.cpuid))) return {};
    return core::bring_cpu_online(CpuId(arg.cpuid));
}

Result<> platform_cpu_offline(Caller&, const xenpf_cpu_ol_t& arg) {
    if (arg.cpuid >= port::cpu_count()) return fail(Error::inval);
    if (arg.cpuid == 0) return fail(Error::opnotsupp);
    return core::take_cpu_offline(CpuId(arg.cpuid));
}

// A processor that was not there at boot.
Result<> platform_cpu_hotadd(Caller& caller, const xenpf_cpu_hotadd_t& arg) {
    guest_log(Level::warning,
              "d{}: the processor with APIC ID {} cannot be added: only those there at boot are used",
              caller.domain.id, arg.apic_id);
    return fail(Error::inval);
}

// Idling processors on firmware's request, for power or heat.
Result<> platform_core_parking(Caller& caller, xenpf_core_parking_t& arg) {
    switch (arg.type) {
        case XEN_CORE_PARKING_GET: arg.idle_nums = 0; return {};
        case XEN_CORE_PARKING_SET:
            if (arg.idle_nums == 0) return {};
            name_missing(caller, "core_parking", arg.type);
            return fail(Error::nosys);
        default: return fail(Error::inval);
    }
}

namespace {

// Processor driver capabilities (Intel "Processor Vendor-Specific ACPI", _PDC): revision, how many words
// follow, and the words, of which the first says what dom0 may have from firmware's tables. Taken out is what
// needs the hypervisor to use them: native C-states, performance states and throttling.
Result<> capabilities(GuestAddr where) {
    constexpr u32 kC1Halt = 1u << 1, kSmpC1 = 1u << 3, kSmpC2C3 = 1u << 4;
    struct Header {
        u32 revision, count;
    };
    if (where.null()) return fail(Error::fault);
    const Header header = TRY(where.in<Header>().read());
    if (header.count == 0 || header.count > 16) return fail(Error::inval);
    const GuestAddr first = where.offset(sizeof(Header));
    const u32 wanted = TRY(first.in<u32>().read());
    return first.out<u32>().write(wanted & (kC1Halt | kSmpC1 | kSmpC2C3));
}

}  // namespace

// What dom0's ACPI code knows of a processor's power states. It is checked and not used: an idle processor
// halts, and its frequency is the firmware's.
Result<> platform_set_processor_pminfo(Caller& caller, const xenpf_set_processor_pminfo_t& arg) {
    if (arg.type == XEN_PM_PDC) return capabilities(address_of(arg.u.pdc));
    if (arg.type != XEN_PM_CX && arg.type != XEN_PM_PX) {
        name_missing(caller, "set_processor_pminfo", arg.type);
        return fail(Error::nosys);
    }
    for (CpuId cpu{0}; cpu.v < port::cpu_count(); ++cpu)
        if (port::acpi_id(cpu) == arg.id) return {};
    return fail(Error::inval);
}

Result<> platform_microcode_update(Caller& caller, const xenpf_microcode_update_t& arg) {
    if (arg.length == 0) return fail(Error::inval);
    guest_log(
        Level::warning,
        "d{}: microcode is not loaded while the machine runs; let the firmware or the boot loader do it",
        caller.domain.id);
    return fail(Error::inval);
}

}  // namespace domus::hypercall
