// SPDX-License-Identifier: GPL-2.0-or-later
// Making domains and vCPUs, and taking them apart.
#include "core/domain.hpp"

#include <cstring>

#include "base/log.hpp"
#include "core/claims.hpp"
#include "core/domain_free.hpp"
#include "core/domain_list.hpp"
#include "core/grant_map.hpp"
#include "core/scheduler.hpp"
#include "core/trace.hpp"
#include "core/vcpu_op.hpp"
#include "core/vcpu_time.hpp"
#include "port/context.hpp"
#include "port/memory.hpp"

namespace domus::core {

namespace {

void free_vcpu(Vcpu* v) {
    stop_vcpu_timers(*v);
    scheduler().remove_unit(v->sched, port::now());
    port::vcpu_destroy(*v);
    Box<Vcpu>::adopt(v).reset();
}

// Everything of a domain that nobody else can reach, before its first vCPU runs or after its last one is
// gone.
struct NewDomain {
    Box<Domain> d;
    Array<Vcpu*> vcpus;
    ~NewDomain() {
        if (!d) return;
        retire_grant_table(*d);
        leave_pool(*d);
        if (d->shared_mfn != kNoMfn) discard_shared_page(d->shared_mfn);
    }
};

// Where a dead domain's shared info is to those who have not noticed yet. Nobody reads it.
alignas(kPageSize) constinit shared_info_t nobodys_shared_info{};

void retire_shared_info(Domain& d) {
    {
        // Whoever publishes the time of day has it by now, or finds the other.
        auto no_publisher = d.wall_version.lock();
        d.shared = &nobodys_shared_info;
    }
    free_shared_page(d.shared_mfn);
}

// Upcalls start masked, as the ABI has it for a PV guest's first instruction.
void reset_shared_page(Domain& d) {
    std::memset(static_cast<void*>(d.shared), 0, sizeof *d.shared);
    for (auto& info : d.shared->vcpu_info) info.evtchn_upcall_mask = 1;
    publish_wall_clock(d);
}

}  // namespace

Result<Domain*> create_domain(DomId id, const DomainConfig& config) {
    if (id.v >= DOMID_FIRST_RESERVED || config.max_vcpus == 0 || config.max_vcpus > kMaxVcpus ||
        config.max_grant_version < 1 || config.max_grant_version > 2)
        return fail(Error::inval);
    if (find_domain(id) != nullptr) return fail(Error::exist);

    // One at a time: a return out of the middle of an initialiser list would leave its first part behind.
    NewDomain made;
    made.d = TRY(make<Domain>());
    made.vcpus = TRY(make_array<Vcpu*>(config.max_vcpus));
    Domain& d = *made.d;
    d.id = id;
    d.privileged = config.privileged;
    d.hardware = config.hardware;
    d.max_vcpus = config.max_vcpus;
    d.vcpus = made.vcpus.data();
    d.pages.max = config.max_pages;
    d.events.max_port = config.max_port;
    d.pause_count.store(1);
    TRY(join_pool(d, config.cpupool));
    TRY(init_grant_table(d, config.max_grant_frames, config.max_maptrack_frames, config.max_grant_version));
    d.shared_mfn = TRY(allocate_shared_page(d));
    d.shared = port::frame_ptr<shared_info_t>(d.shared_mfn);
    reset_shared_page(d);
    TRY(insert_domain(d));
    trace(TRC_DOM0_DOM_ADD, u32{d.id.v});

    d.vcpu_array = std::move(made.vcpus);
    return made.d.release();
}

Result<> make_32bit(Domain& d) {
    if (d.is_32bit) return {};
    bool used = false;
    for_each_vcpu(d, [&used](const Vcpu& v) { used = used || v.initialised.load() || v.info_mfn != kNoMfn; });
    {
        // Pages are charged under this lock.
        LockGuard guard(d.pages.lock);
        if (used || d.pages.total != 0 || d.events.fifo.load() != nullptr) return fail(Error::access);
        // A mirror takes its roots for tables of the guest's. A 32-bit vCPU's root is ours, and changes
        // without the mirror's hearing of it: what the guest gave up would stay in its reach.
        if (d.control.log_dirty || d.dirty_log.on()) return fail(Error::access);
        d.is_32bit = true;
    }
    for_each_vcpu(d, [](Vcpu& v) {
        v.pv.is_32bit = true;
        v.time_version = 0;
        v.published_tsc = 0;
    });
    reset_shared_page(d);
    d.events.abi.store(&kTwoLevelEvents32, std::memory_order_release);
    return {};
}

Result<Vcpu*> create_vcpu(Domain& d, VcpuId id) {
    if (id.v >= d.max_vcpus) return fail(Error::inval);
    if (d.vcpu(id) != nullptr) return fail(Error::exist);
    Box<Vcpu> v = TRY(make<Vcpu>());
    v->id = id;
    v->domain = &d;
    v->pv.is_32bit = d.is_32bit;
    v->own_info.evtchn_upcall_mask = 1;
    v->info = id.v < XEN_LEGACY_MAX_VCPUS ? &d.shared->vcpu_info[id.v] : &v->own_info;
    v->sched.domain = d.id;
    v->sched.vcpu = id;
    init_vcpu_timers(*v);
    v->sched.group = &d.sched_group;
    TRY(create_affinity(*v));
    TRY(port::vcpu_create(*v));
    Vcpu* made = v.release();
    // The domain must not change its pool, nor its share, before the vCPU counts as one of its own.
    LockGuard guard(pools_lock());
    const Nanos now = port::now();
    scheduler().add_unit(made->sched, *d.pool->engine, now);
    if (d.share.weight != DomainShare{}.weight)
        static_cast<void>(scheduler().set_share(made->sched, {.weight = d.share.weight}, now));
    __atomic_store_n(&d.vcpus[id.v], made, __ATOMIC_RELEASE);
    return made;
}

void free_domain(Domain* d) {
    for_each_vcpu(*d, [](Vcpu& v) { free_vcpu(&v); });
    leave_pool(*d);
    Box<Domain>::adopt(d).reset();
}

Result<> destroy_domain(Domain& d) {
    // Each step can be run again from its start; those that may be long say ERESTART and are.
    switch (d.destroy_step) {
        case 0: {
            Dying no = Dying::no;
            if (!d.dying.compare_exchange_strong(no, Dying::dying)) return fail(Error::busy);
            pause_domain_sync(d);
            d.dirty_log.end(d);
            { LockGuard wait_for_allocations(d.events.lock); }
            { LockGuard wait_for_charges(d.pages.lock); }
            drop_claim(d);
            stop_watchdogs(d);
            drop_virq_handlers(d);
            d.destroy_step = 1;
            [[fallthrough]];
        }
        case 1: {
            TRY(reset_events(d, d.destroy_at));
            unmap_all_pirqs(d);
            forget_eoi_page(d);
            d.destroy_step = 2;
            [[fallthrough]];
        }
        case 2: {
            // References that vCPUs hold on the domain's memory.
            for (; d.destroy_at < d.max_vcpus; d.destroy_at++) {
                Vcpu* v = d.vcpu(VcpuId(d.destroy_at));
                if (v == nullptr) continue;
                stop_vcpu_timers(*v);
                forget_vcpu_info(*v);
                TRY(port::vcpu_drop_context(*v));
            }
            retire_grant_table(d);
            d.destroy_step = 3;
            d.destroy_at = 0;
            [[fallthrough]];
        }
        case 3: {
            TRY(release_all_pages(d));
            // Only now that its page tables are gone do the granters learn that they have their pages back.
            TRY(release_all_mappings(d, d.destroy_at));
            retire_shared_info(d);
            d.destroy_step = 4;
            d.dying.store(Dying::dead);
            trace(TRC_DOM0_DOM_REM, u32{d.id.v});
            put_domain(d);
            // Control software waits for this to look again.
            send_global_virq(VIRQ_DOM_EXC);
            return {};
        }
        default: return fail(Error::srch);
    }
}

void set_shutdown_code(Domain& d, u32 reason) {
    LockGuard guard(d.shutdown_lock);
    if (d.shutdown_code == -1) d.shutdown_code = static_cast<s32>(reason & 0xff);
}

void shut_down_domain(Domain& d, u32 reason) {
    s32 code = 0;
    {
        LockGuard guard(d.shutdown_lock);
        if (d.shutting_down.exchange(true)) return;
        if (d.shutdown_code == -1) d.shutdown_code = static_cast<s32>(reason & 0xff);
        code = d.shutdown_code;
    }
    trace(TRC_SCHED_SHUTDOWN_CODE, u32{d.id.v}, static_cast<u32>(code));
    static constexpr const char* names[] = {"poweroff", "reboot",   "suspend",
                                            "crash",    "watchdog", "soft reset"};
    log(Level::info, "d{} shuts down: {} ({})", d.id,
        static_cast<u32>(code) < std::size(names) ? names[code] : "reason unknown", code);
    // First that none of its vCPUs runs on: one that met what has ended the domain would meet it for ever.
    for_each_vcpu(d, [](Vcpu& v) { update_run_state(v); });
    if (d.hardware) port::machine_shutdown(static_cast<u32>(code));
    d.shut_down.store(true);
    if (code == SHUTDOWN_suspend && d.suspend_port.v != 0)
        static_cast<void>(send_event(d, d.suspend_port));
    else
        send_global_virq(VIRQ_DOM_EXC);
}

void resume_domain(Domain& d) {
    {
        LockGuard guard(d.shutdown_lock);
        d.shut_down.store(false);
        d.shutting_down.store(false);
        d.shutdown_code = -1;
    }
    for_each_vcpu(d, [](Vcpu& v) { update_run_state(v); });
}

}  // namespace domus::core
