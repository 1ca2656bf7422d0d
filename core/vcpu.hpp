// SPDX-License-Identifier: GPL-2.0-or-later
// A virtual CPU: its state, and why it runs or does not.
#pragma once

#include <array>
#include <atomic>

#include "abi/xen.hpp"
#include "arch_state/pv_vcpu.hpp"
#include "base/result.hpp"
#include "base/types.hpp"
#include "core/affinity.hpp"
#include "core/timer.hpp"
#include "port/lock.hpp"
#include "sched/unit.hpp"

namespace domus {

struct Domain;

struct Vcpu {
    // Where the guest's vcpu_info is, through the direct map: in the shared info page, or where
    // VCPUOP_register_vcpu_info put it. The guest writes it at will: every access is one atomic load or
    // store. First, because exit code reads it (arch_state/offsets.hpp).
    vcpu_info_t* info = nullptr;

    VcpuId id{};
    Domain* domain = nullptr;
    sched::Unit sched;

    // VCPUOP_register_vcpu_info's frame, with a writable type reference on it; and what `info` points to
    // until the guest has given a place, for a vCPU that has none in the shared info page.
    Mfn info_mfn = kNoMfn;
    vcpu_info_t own_info{};
    vcpu_info_t* info_now() const { return __atomic_load_n(&info, __ATOMIC_SEQ_CST); }

    // Why it does not run. Changed under state_lock, followed by core::update_run_state(); readable by
    // anyone.
    SpinLock state_lock{Rank::vcpu_state};
    std::atomic<u32> pause_count{0};       // paused while > 0
    std::atomic<bool> online{false};       // brought up (VCPUOP_up) and not down
    std::atomic<bool> blocked{false};      // in SCHEDOP_block or poll
    std::atomic<bool> initialised{false};  // has a context to run
    std::atomic<bool> initialising{false};
    core::Affinity affinity;
    bool debugger_pauses = false;  // one of pause_count is a debugger's; under DomainControl::busy
    bool pinned = false;           // to one CPU for ever (dom0_vcpus_pin)

    // SCHEDOP_poll: which port it waits for: none, one, or several.
    static constexpr u32 kPollNone = 0, kPollMany = ~u32{0};
    std::atomic<u32> polling{kPollNone};
    core::Timer poll_timer;

    std::atomic<bool> nmi_pending{false};  // delivered by the architecture on the way out

    std::array<std::atomic<u32>, NR_VIRQS> virq_port{};  // ports of the per-vCPU VIRQs, 0 if unbound

    // Timers of VCPUOP_set_*_timer and set_timer_op. `period` in ns, 0 if stopped; `period_due` is the next
    // tick. Under time_lock.
    SpinLock time_lock{Rank::vcpu_time};
    core::Timer periodic_timer, singleshot_timer;
    Nanos period = 0, period_due = 0;

    // What was last published in vcpu_time_info, to publish only changes; and where a second copy goes
    // (VCPUOP_register_vcpu_time_memory_area), as the runstate (…_runstate_memory_area). Guest virtual
    // addresses, 0 if none.
    u64 published_tsc = 0;
    u32 published_mul = 0;
    u32 time_version = 0;      // of vcpu_time_info: 0 until first published, then even
    bool areas_stale = false;  // the copies below have to be written when the guest is in its kernel
    u64 time_area = 0;
    u64 runstate_area = 0;

    PvVcpu pv;
};

namespace core {

// Domain's or vCPU's state has changed: tells the scheduler whether the vCPU wants a CPU. Takes state_lock.
void update_run_state(Vcpu& v);

// Makes a blocked or polling vCPU runnable; if it is on another CPU in the guest, makes it look at its
// pending events. Any context without locks of rank vcpu_state or later.
void kick_vcpu(Vcpu& v);
// As kick_vcpu, for one that is not blocked nothing happens.
void unblock(Vcpu& v);

// Pausing nests. pause_vcpu() may return before the vCPU leaves its CPU; the sync form waits for that and
// must not be used on the current vCPU, nor with locks held.
void pause_vcpu(Vcpu& v);
void pause_vcpu_sync(Vcpu& v);
void unpause_vcpu(Vcpu& v);

// Must the vCPU take an event upcall before it goes on in the guest?
bool upcall_wanted(const Vcpu& v);
// … an NMI, which it has a callback for and is not in?
inline bool nmi_deliverable(const Vcpu& v) {
    return v.nmi_pending.load() && v.pv.nmi_callback != 0 && !v.pv.in_nmi;
}

}  // namespace core
}  // namespace domus
