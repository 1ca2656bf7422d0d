// SPDX-License-Identifier: GPL-2.0-or-later
// A domain: memory, vCPUs, event channels, grants. Each subsystem's part is a struct of its own header.
#pragma once

#include <atomic>

#include "abi/xen.hpp"
#include "base/types.hpp"
#include "core/cpu_policy.hpp"
#include "core/cpupool.hpp"
#include "core/dirty_log.hpp"
#include "core/domain_control.hpp"
#include "core/evtchn.hpp"
#include "core/grant_table.hpp"
#include "core/guest_tsc.hpp"
#include "core/memory_map.hpp"
#include "core/pages.hpp"
#include "core/pirq.hpp"
#include "core/quiesce.hpp"
#include "core/rangeset.hpp"
#include "core/told_set.hpp"
#include "core/vcpu.hpp"
#include "core/vnuma.hpp"
#include "core/watchdog.hpp"

namespace domus {

// What create_domain() needs to know.
struct DomainConfig {
    u32 max_vcpus = 1;        // 1..kMaxVcpus
    bool privileged = false;  // the control domain: may use the toolstack and platform operations
    bool hardware = false;    // the hardware domain: owns devices and interrupts
    u64 max_pages = 0;        // limit on the pages it may own
    u32 max_port = core::kMaxPorts - 1;
    u32 max_grant_frames = 64;       // frames of the shared grant table
    u32 max_maptrack_frames = 1024;  // of grants of others that it has mapped: core/maptrack.hpp
    u32 max_grant_version = 2;
    u32 cpupool = 0;  // the pool whose CPUs run it
};
inline constexpr u32 kMaxVcpus = 8192;  // a 64-bit PV guest's limit in the ABI's tools

enum class Dying : u8 { no, dying, dead };

struct Domain {
    DomId id{};
    bool privileged = false;
    bool hardware = false;
    // A PV guest whose kernel runs in ring 1 in 32-bit segments (XEN_DOMCTL_set_address_size). Changes only
    // before it has memory.
    bool is_32bit = false;
    u64 vm_assist = 0;  // bit n: VMASST_TYPE_ n
    bool assists(u32 type) const {
        return ((__atomic_load_n(&vm_assist, __ATOMIC_RELAXED) >> type) & 1) != 0;
    }

    Vcpu** vcpus = nullptr;  // max_vcpus pointers, null where not created
    u32 max_vcpus = 0;
    Array<Vcpu*> vcpu_array;  // owns what `vcpus` points to
    Vcpu* vcpu(VcpuId v) const {
        return v.v < max_vcpus ? __atomic_load_n(&vcpus[v.v], __ATOMIC_ACQUIRE) : nullptr;
    }

    shared_info_t* shared = nullptr;  // through the direct map
    Mfn shared_mfn = kNoMfn;
    s64 time_offset = 0;                        // seconds that its wall clock is ahead of ours
    Guarded<u32, Rank::leaf> wall_version{0u};  // what wc_version was last set to, even

    // What the toolstack made of the processor's features, and of the time stamp counter. Both change only
    // while no vCPU of the domain is on a CPU; the lock is between toolstack calls.
    SpinLock cpu_policy_lock{Rank::leaf};
    Box<CpuPolicy> cpu_policy;  // none: the default (pv/cpu_policy.hpp)
    core::GuestTsc tsc;

    // Why none of its vCPUs runs; see core/vcpu.hpp.
    std::atomic<u32> pause_count{0};
    std::atomic<bool> shutting_down{false};

    // Shutdown (SCHEDOP_shutdown): the code that the toolstack reads, a SHUTDOWN_*; -1 if none yet.
    SpinLock shutdown_lock{Rank::domain_control};
    std::atomic<bool> shut_down{false};
    s32 shutdown_code = -1;
    EvtPort suspend_port{};  // told instead of VIRQ_DOM_EXC on SHUTDOWN_suspend; 0 if none (domctl subscribe)

    // Changed under the pools' lock (core/cpupool.hpp).
    core::CpuPool* pool = nullptr;
    core::DomainShare share;
    sched::Group sched_group;
    u64 node_affinity = 1;  // NUMA nodes that its memory should come from
    bool node_affinity_given = false;
    core::VirtualNumaSlot virtual_numa;  // nothing unless the toolstack has set something

    core::DomainControl control;
    core::DomainPages pages;
    core::DirtyLog dirty_log;  // begun and ended under `control.busy`
    core::MemoryMap memory_map;
    core::EventChannels events;
    core::PirqTable pirqs;
    core::GrantTable grants;
    core::RangeSet iomem_caps;   // device frames it may map, by Mfn
    core::RangeSet ioport_caps;  // I/O ports it may use
    core::RangeSet irq_caps;     // interrupts it may bind, by PIRQ
    core::Watchdogs watchdogs;
    core::ToldSet refusals;  // of its hypercalls (hypercall/refusal.hpp)

    // Life and lookup; core/domain_list.hpp.
    std::atomic<Dying> dying{Dying::no};
    u32 destroy_step = 0, destroy_at = 0;  // how far destroy_domain() has come
    std::atomic<u32> refs{1};
    std::atomic<Domain*> next_in_hash{nullptr}, next_by_id{nullptr};
    core::Deferred deferred;
};

namespace core {

// Calls f(Vcpu&) for every vCPU that exists.
template <class F>
void for_each_vcpu(const Domain& d, F&& f) {
    for (u32 i = 0; i < d.max_vcpus; i++)
        if (Vcpu* v = d.vcpu(VcpuId(i))) f(*v);
}

// A domain with its shared info page and no vCPUs, findable, paused once. EINVAL: a limit or the id is out of
// range. EEXIST. ENOMEM. NOENT: no such CPU pool.
Result<Domain*> create_domain(DomId id, const DomainConfig& config);

// XEN_DOMCTL_set_address_size of 32: from now on a 32-bit PV guest. EACCES: it has memory, or a vCPU that is
// set up. Between toolstack calls the caller sees to it that no vCPU is being made.
Result<> make_32bit(Domain& d);

// vCPU ids are given in rising order from 0; the first 32 find their vcpu_info in the shared info page. It is
// down and without context. EINVAL: beyond max_vcpus. EEXIST. ENOMEM.
Result<Vcpu*> create_vcpu(Domain& d, VcpuId id);

// Pausing nests. The sync form waits until no vCPU of it is on a CPU; not for the caller's own domain.
void pause_domain(Domain& d);
void pause_domain_sync(Domain& d);
void unpause_domain(Domain& d);

// The domain stops for ever, or until resume_domain(), for this reason (SHUTDOWN_*, public sched.h); control
// software is told. The hardware domain takes the machine with it. Any context without locks.
void shut_down_domain(Domain& d, u32 reason);
// What the code will be when the domain shuts down (SCHEDOP_shutdown_code).
void set_shutdown_code(Domain& d, u32 reason);
// After a cancelled suspend or a checkpoint.
void resume_domain(Domain& d);

// Tears a domain down and gives everything back. ERESTART: preempted, call again. On success the id is free
// again as soon as nobody holds a page of it any more. EBUSY: somebody else is at it. Not from one of its own
// vCPUs.
Result<> destroy_domain(Domain& d);

}  // namespace core
}  // namespace domus
