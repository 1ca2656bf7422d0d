// SPDX-License-Identifier: GPL-2.0-or-later
// Publishing the clock and the runstate to guests. Each structure has a version protocol: the reader sees an
// odd version (or the update bit) while we write, and reads again (public xen.h, struct vcpu_time_info;
// public vcpu.h, XEN_RUNSTATE_UPDATE).
#include <atomic>
#include <cstddef>

#include "abi/xen32.hpp"
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/scheduler.hpp"
#include "core/vcpu_time.hpp"
#include "port/context.hpp"
#include "port/guest_memory.hpp"
#include "port/time.hpp"

namespace domus::core {

namespace {

// x86 stores are not reordered with stores; the fence keeps the compiler to it.
void write_barrier() { std::atomic_thread_fence(std::memory_order_release); }

template <class T>
void put(T& to, T value) {
    std::atomic_ref(to).store(value, std::memory_order_relaxed);
}

vcpu_time_info_t time_info(const GuestTsc& tsc, const port::ClockScale& scale) {
    vcpu_time_info_t t{};
    t.system_time = static_cast<u64>(scale.base_ns);
    if (tsc.emulated) {
        t.tsc_timestamp = emulated_tsc(tsc, scale.base_ns);
        t.tsc_to_system_mul = tsc.to_ns.mul;
        t.tsc_shift = tsc.to_ns.shift;
    } else {
        t.tsc_timestamp = scale.base_tsc;
        t.tsc_to_system_mul = scale.mul;
        t.tsc_shift = scale.shift;
    }
    t.flags = port::tsc_stable() ? XEN_PVCLOCK_TSC_STABLE_BIT : 0;
    return t;
}

// Into vcpu_info, which the guest may read on any CPU at any time.
void publish_clock(Vcpu& v, const vcpu_time_info_t& t) {
    vcpu_time_info_t& to = v.info_now()->time;
    v.time_version += 2;
    put(to.version, v.time_version - 1);
    write_barrier();
    put(to.tsc_timestamp, t.tsc_timestamp);
    put(to.system_time, t.system_time);
    put(to.tsc_to_system_mul, t.tsc_to_system_mul);
    put(to.tsc_shift, t.tsc_shift);
    put(to.flags, t.flags);
    write_barrier();
    put(to.version, v.time_version);
}

// False: the address is not mapped now.
bool write_time_area(Vcpu& v, vcpu_time_info_t t) {
    const Vaddr at(v.time_area);
    const u32 odd = v.time_version - 1;
    if (port::copy_to_guest(at, &odd, sizeof odd) != 0) return false;
    write_barrier();
    t.version = odd;
    if (port::copy_to_guest(at, &t, sizeof t) != 0) return false;
    write_barrier();
    return port::copy_to_guest(at, &v.time_version, sizeof v.time_version) == 0;
}

// T: as a guest of its width lays it out.
template <class T>
bool write_runstate(Vcpu& v, T r) {
    const Vaddr at(v.runstate_area);
    if (!v.domain->assists(VMASST_TYPE_runstate_update_flag))
        return port::copy_to_guest(at, &r, sizeof r) == 0;
    const Vaddr entry_time = at + offsetof(T, state_entry_time);
    const u64 done = r.state_entry_time;
    const u64 busy = done | XEN_RUNSTATE_UPDATE;
    r.state_entry_time = busy;
    if (port::copy_to_guest(entry_time, &busy, sizeof busy) != 0) return false;
    write_barrier();
    if (port::copy_to_guest(at, &r, sizeof r) != 0) return false;
    write_barrier();
    return port::copy_to_guest(entry_time, &done, sizeof done) == 0;
}

bool write_runstate_area(Vcpu& v, const vcpu_runstate_info_t& r) {
    if (!v.domain->is_32bit) return write_runstate(v, r);
    return write_runstate(v, abi32::VcpuRunstateInfo{
                                 r.state, r.state_entry_time, {r.time[0], r.time[1], r.time[2], r.time[3]}});
}

// System time 0 in ns since 1970. Changed under the lock; read under it as well, on slow paths only.
struct WallBase {
    bool known = false;
    u64 nanoseconds = 0;
};
constinit Guarded<WallBase, Rank::leaf> wall;

u64 wall_base() {
    auto w = wall.lock();
    if (!w->known) {
        const port::WallClock boot = port::wall_clock();
        w->nanoseconds = boot.seconds * kSecond + boot.nanoseconds;
        w->known = true;
    }
    return w->nanoseconds;
}

}  // namespace

void switched_in(Vcpu& v, Nanos now) {
    const port::ClockScale scale = port::clock_scale();
    const bool new_clock = scale.base_tsc != v.published_tsc || scale.mul != v.published_mul;
    if (new_clock || v.time_version == 0) {
        v.published_tsc = scale.base_tsc;
        v.published_mul = scale.mul;
        publish_clock(v, time_info(v.domain->tsc, scale));
        v.areas_stale = v.areas_stale || v.time_area != 0;
    }
    const CpuId cpu = port::this_cpu();
    migrate_timer(v.periodic_timer, cpu);
    migrate_timer(v.singleshot_timer, cpu);
    if (v.runstate_area != 0 || v.areas_stale) refresh_guest_areas(v, now);
}

void refresh_guest_areas(Vcpu& v, Nanos now) {
    // A 32-bit guest's kernel is mapped in all its modes.
    if (!v.pv.in_kernel && !v.pv.is_32bit) {
        v.areas_stale = true;
        return;
    }
    if (v.runstate_area != 0) write_runstate_area(v, runstate(v, now));
    if (v.time_area != 0 && v.areas_stale) write_time_area(v, time_info(v.domain->tsc, port::clock_scale()));
    v.areas_stale = false;
}

vcpu_runstate_info_t runstate(Vcpu& v, Nanos now) {
    const auto times = scheduler().run_times(v.sched, now);
    vcpu_runstate_info_t r{};
    r.state = static_cast<int>(times.state);
    r.state_entry_time = static_cast<u64>(times.since);
    for (u32 i = 0; i < 4; i++) r.time[i] = static_cast<u64>(times.time[i]);
    return r;
}

Result<> register_runstate_area(Vcpu& v, u64 address, Nanos now) {
    v.runstate_area = address;
    if (address != 0) write_runstate_area(v, runstate(v, now));
    return {};
}

Result<> register_time_area(Vcpu& v, u64 address) {
    v.time_area = address;
    if (address != 0 && v.time_version != 0)
        write_time_area(v, time_info(v.domain->tsc, port::clock_scale()));
    return {};
}

namespace {

template <class Shared>
void put_wall_clock(Shared& shared, u32& sec_hi, u32 version, u64 seconds, u32 nanoseconds) {
    put(shared.wc_version, version - 1);
    write_barrier();
    put(shared.wc_sec, static_cast<u32>(seconds));
    put(sec_hi, static_cast<u32>(seconds >> 32));
    put(shared.wc_nsec, nanoseconds);
    write_barrier();
    put(shared.wc_version, version);
}

}  // namespace

void publish_wall_clock(Domain& d) {
    const u64 ns = wall_base();
    const u64 seconds = ns / kSecond + static_cast<u64>(d.time_offset);
    auto guard = d.wall_version.lock();
    *guard += 2;
    const u32 rest = static_cast<u32>(ns % kSecond);
    if (d.is_32bit) {
        auto& shared = *reinterpret_cast<shared_info_x86_32*>(d.shared);
        put_wall_clock(shared, shared.arch.wc_sec_hi, *guard, seconds, rest);
    } else {
        put_wall_clock(*d.shared, d.shared->wc_sec_hi, *guard, seconds, rest);
    }
}

Result<> set_wall_clock(u64 seconds, u32 nanoseconds, Nanos at) {
    // Up to the year 2500, so that nothing here or in a guest overflows.
    if (nanoseconds >= kSecond || at < 0 || seconds > 16'000'000'000) return fail(Error::inval);
    const u64 ns = seconds * kSecond + nanoseconds;
    if (ns < static_cast<u64>(at)) return fail(Error::inval);
    {
        auto w = wall.lock();
        w->nanoseconds = ns - static_cast<u64>(at);
        w->known = true;
    }
    for (Domain* d = next_domain(DomId(0)); d != nullptr; d = next_domain(d->id + 1)) publish_wall_clock(*d);
    return {};
}

}  // namespace domus::core
