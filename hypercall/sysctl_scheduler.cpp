// SPDX-License-Identifier: GPL-2.0-or-later
// sysctl: the scheduler and its pools of CPUs.
#include <algorithm>
#include <cstring>

#include "base/log.hpp"
#include "core/cpupool.hpp"
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/scheduler.hpp"
#include "hypercall/bitmap.hpp"
#include "hypercall/cpu_set.hpp"
#include "hypercall/sysctl.hpp"
#include "mm/box.hpp"
#include "port/cpu.hpp"
#include "sched/arinc653.hpp"

namespace domus::hypercall {

namespace {

std::optional<u32> unless_any(u32 n) {
    if (n == XEN_SYSCTL_CPUPOOL_PAR_ANY) return std::nullopt;
    return n;
}
std::optional<CpuId> cpu_unless_any(u32 n) {
    if (n == XEN_SYSCTL_CPUPOOL_PAR_ANY) return std::nullopt;
    return CpuId(n);
}

Result<> create(Caller& caller, xen_sysctl_cpupool_op& arg) {
    const sched::Policy* const policy = sched::find_policy(arg.sched_id);
    if (policy == nullptr) {
        guest_log(Level::warning, "d{}: no CPU pool with scheduler {}: there is none of this number",
                  caller.domain.id, arg.sched_id);
        return fail(Error::noent);
    }
    arg.cpupool_id = TRY(core::create_pool(unless_any(arg.cpupool_id), *policy));
    return {};
}

Result<> info(xen_sysctl_cpupool_op& arg) {
    CpuSet cpus = TRY(CpuSet::make());
    const core::PoolInfo pool = TRY(core::pool_info(arg.cpupool_id, cpus.words()));
    TRY(write_bitmap(arg.cpumap, cpus.words(), port::cpu_count()));
    arg.cpupool_id = pool.id;
    arg.sched_id = pool.policy->abi_id;
    arg.n_dom = pool.domains;
    return {};
}

Result<> free_info(xen_sysctl_cpupool_op& arg) {
    CpuSet cpus = TRY(CpuSet::make());
    core::free_cpus(cpus.words());
    return write_bitmap(arg.cpumap, cpus.words(), port::cpu_count());
}

Result<> move_domain(Caller& caller, const xen_sysctl_cpupool_op& arg) {
    // It would have to stop for that.
    if (arg.domid == caller.domain.id.v || arg.domid == DOMID_SELF) return fail(Error::perm);
    if (arg.domid >= DOMID_FIRST_RESERVED) return fail(Error::srch);
    Domain* const d = core::find_domain(DomId(static_cast<u16>(arg.domid)));
    if (d == nullptr) return fail(Error::srch);
    return core::move_domain(*d, arg.cpupool_id);
}

// Credit2 has one number to set: how long a vCPU runs at least.
Result<> credit2_parameters(sched::Pool& pool, u32 command, xen_sysctl_credit2_schedule& arg) {
    if (command == XEN_SYSCTL_SCHEDOP_putinfo) {
        const u32 us = arg.ratelimit_us;
        if (us != 0 && (us < XEN_SYSCTL_SCHED_RATELIMIT_MIN || us > XEN_SYSCTL_SCHED_RATELIMIT_MAX))
            return fail(Error::inval);
        core::scheduler().change_pool(pool, [&] { pool.params.ratelimit = us * kMicrosecond; });
    }
    arg.ratelimit_us = static_cast<u32>(pool.params.ratelimit / kMicrosecond);
    return {};
}

Result<> read_table(const xen_sysctl_arinc653_schedule_t& in, sched::ArincTable& table) {
    if (in.num_sched_entries > sched::kArincMostEntries) return fail(Error::inval);
    table = {};
    table.given = true;
    table.major_frame = static_cast<Nanos>(in.major_frame);
    table.count = in.num_sched_entries;
    for (u32 i = 0; i < table.count; i++) {
        static_assert(sizeof in.sched_entries[0].dom_handle == 16);
        std::memcpy(table.entries[i].handle.data(), in.sched_entries[i].dom_handle, 16);
        table.entries[i].vcpu = VcpuId(in.sched_entries[i].vcpu_id);
        table.entries[i].runtime = static_cast<Nanos>(in.sched_entries[i].runtime);
    }
    return sched::check(table);
}

void write_table(const sched::ArincTable& table, xen_sysctl_arinc653_schedule_t& out) {
    std::memset(&out, 0, sizeof out);  // the gaps as well
    out.major_frame = static_cast<u64>(table.major_frame);
    out.num_sched_entries = static_cast<u8>(table.count);
    for (u32 i = 0; i < table.count; i++) {
        std::memcpy(out.sched_entries[i].dom_handle, table.entries[i].handle.data(), 16);
        out.sched_entries[i].vcpu_id = table.entries[i].vcpu.v;
        out.sched_entries[i].runtime = static_cast<u64>(table.entries[i].runtime);
    }
}

Result<> arinc_schedule(sched::Pool& pool, u32 command, GuestAddr where) {
    struct Buffer {
        xen_sysctl_arinc653_schedule_t abi{};
        sched::ArincTable table{};
    };
    Box<Buffer> b = TRY(make<Buffer>());
    if (command == XEN_SYSCTL_SCHEDOP_putinfo) {
        b->abi = TRY(where.in<xen_sysctl_arinc653_schedule_t>().read());
        TRY(read_table(b->abi, b->table));
        core::scheduler().change_pool(pool, [&] { sched::arinc_table(pool) = b->table; });
        return {};
    }
    core::scheduler().change_pool(pool, [&] { b->table = sched::arinc_table(pool); });
    write_table(b->table, b->abi);
    return where.out<xen_sysctl_arinc653_schedule_t>().write(b->abi);
}

}  // namespace

Result<> sysctl_sched_id(Caller&, xen_sysctl_sched_id& arg) {
    arg.sched_id = core::scheduler().policy().abi_id;
    return {};
}

Result<> sysctl_cpupool_op(Caller& caller, xen_sysctl_cpupool_op& arg) {
    switch (arg.op) {
        case XEN_SYSCTL_CPUPOOL_OP_CREATE: return create(caller, arg);
        case XEN_SYSCTL_CPUPOOL_OP_DESTROY: return core::destroy_pool(arg.cpupool_id);
        case XEN_SYSCTL_CPUPOOL_OP_INFO: return info(arg);
        case XEN_SYSCTL_CPUPOOL_OP_ADDCPU: return core::pool_add_cpu(arg.cpupool_id, cpu_unless_any(arg.cpu));
        case XEN_SYSCTL_CPUPOOL_OP_RMCPU:
            return core::pool_remove_cpu(arg.cpupool_id, cpu_unless_any(arg.cpu));
        case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN: return move_domain(caller, arg);
        case XEN_SYSCTL_CPUPOOL_OP_FREEINFO: return free_info(arg);
        default: name_missing(caller, "cpupool_op", arg.op); return fail(Error::nosys);
    }
}

Result<> sysctl_scheduler_op(Caller&, xen_sysctl_scheduler_op& arg) {
    sched::Pool& pool = *TRY(core::find_pool(arg.cpupool_id));
    if (arg.cmd != XEN_SYSCTL_SCHEDOP_putinfo && arg.cmd != XEN_SYSCTL_SCHEDOP_getinfo)
        return fail(Error::inval);
    if (arg.sched_id != pool.policy->abi_id) return fail(Error::inval);
    switch (arg.sched_id) {
        case XEN_SCHEDULER_CREDIT2: return credit2_parameters(pool, arg.cmd, arg.u.sched_credit2);
        case XEN_SCHEDULER_ARINC653:
            return arinc_schedule(pool, arg.cmd, address_of(arg.u.sched_arinc653.schedule));
        default: return fail(Error::inval);  // nothing to set
    }
}

}  // namespace domus::hypercall
