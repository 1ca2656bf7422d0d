// SPDX-License-Identifier: GPL-2.0-or-later
// mca (48): machine-check telemetry for the hardware domain (public arch-x86/xen-mca.h).
#include <algorithm>
#include <cstring>

#include "abi/xen.hpp"
#include "abi/xen_mca.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/platform.hpp"
#include "port/context.hpp"
#include "port/cpu.hpp"

namespace domus::hypercall {

namespace {

// No error records are collected yet: there is never anything to fetch, or to acknowledge.
Result<> fetch(Caller&, xen_mc_fetch_t& arg) {
    if ((arg.flags & ~u32{XEN_MC_NONURGENT | XEN_MC_URGENT | XEN_MC_ACK}) != 0) return fail(Error::inval);
    const bool acknowledge = (arg.flags & XEN_MC_ACK) != 0;
    arg.flags = acknowledge ? XEN_MC_OK : XEN_MC_NODATA;
    arg.fetch_id = 0;
    return {};
}

// Without a buffer only the number of processors is asked for.
Result<> physcpuinfo(Caller&, xen_mc_physcpuinfo_t& arg) {
    const GuestAddr where(reinterpret_cast<u64>(arg.info.p));
    const u32 cpus = port::cpu_count();
    if (where.null()) {
        arg.ncpus = cpus;
        return {};
    }
    const u32 count = std::min(arg.ncpus, cpus);
    for (u32 i = 0; i < count; i++) {
        xen_mc_logical_cpu_t cpu{};
        cpu.mc_cpunr = i;
        cpu.mc_apicid = port::apic_id(CpuId(i));
        // One thread a core, one core a package: topology is not known here.
        cpu.mc_chipid = i;
        cpu.mc_ncores = cpu.mc_ncores_active = cpu.mc_nthreads = 1;
        if (platform().cpu_version != nullptr) {
            const CpuVersion v = platform().cpu_version(CpuId(i));
            std::memcpy(cpu.mc_vendorid, v.vendor, sizeof v.vendor);
            cpu.mc_family = v.family;
            cpu.mc_model = v.model;
            cpu.mc_step = v.stepping;
        }
        TRY(where.out<xen_mc_logical_cpu_t>().write(cpu, i));
    }
    arg.ncpus = count;
    return {};
}

constexpr Command<> kList[] = {
    command<&fetch>(XEN_MC_fetch, "fetch"),
    command<&physcpuinfo>(XEN_MC_physcpuinfo, "physcpuinfo"),
};
constexpr Commands kCommands("mca", kList);

}  // namespace

Result<s64> mca(Caller& caller, GuestAddr arg) {
    struct Header {
        u32 command, version;
    };
    const Header header = TRY(arg.in<Header>().read());
    if (header.version != XEN_MCA_INTERFACE_VERSION) return fail(Error::access);
    return kCommands.call(caller, header.command, arg.offset(offsetof(xen_mc_t, u)));
}

}  // namespace domus::hypercall
