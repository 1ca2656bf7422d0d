// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl: the scheduler and its pools of CPUs.
#include <algorithm>

#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/scheduler.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/sysctl.hpp"
#include "port/cpu.hpp"

namespace domus::hypercall {

namespace {

// The one pool there is: all CPUs, all domains.
Result<> pool_info(xen_sysctl_cpupool_op& arg) {
    if (arg.cpupool_id != 0) return fail(Error::noent);
    u32 domains = 0;
    for (const Domain* d = core::next_domain(DomId(0)); d != nullptr; d = core::next_domain(d->id + 1))
        domains++;
    u64 set[64] = {};
    const u32 cpus = std::min<u32>(port::cpu_count(), std::size(set) * 64);
    for (u32 cpu = 0; cpu < cpus; cpu++) set[cpu / 64] |= u64{1} << (cpu % 64);
    TRY(write_bitmap(arg.cpumap, set, cpus));
    arg.cpupool_id = 0;
    arg.sched_id = core::scheduler().policy().abi_id;
    arg.n_dom = domains;
    return {};
}

}  // namespace

Result<> sysctl_sched_id(Caller&, xen_sysctl_sched_id& arg) {
    arg.sched_id = core::scheduler().policy().abi_id;
    return {};
}

Result<> sysctl_cpupool_op(Caller& caller, xen_sysctl_cpupool_op& arg) {
    switch (arg.op) {
        case XEN_SYSCTL_CPUPOOL_OP_INFO: return pool_info(arg);
        case XEN_SYSCTL_CPUPOOL_OP_FREEINFO: return write_bitmap(arg.cpumap, {}, 0);
        default: name_missing(caller, "cpupool_op", arg.op); return fail(Error::nosys);
    }
}

}  // namespace domus::hypercall
