// SPDX-License-Identifier: GPL-2.0-or-later
// domctl and sysctl: what domains, vCPUs and pages there are.
#include <algorithm>
#include <cstring>

#include "core/claims.hpp"
#include "core/cpupool.hpp"
#include "core/domain_list.hpp"
#include "core/scheduler.hpp"
#include "hypercall/domain_info.hpp"
#include "hypercall/domctl.hpp"
#include "hypercall/sysctl.hpp"
#include "mm/page_type.hpp"
#include "port/cpu.hpp"
#include "port/time.hpp"

namespace domus::hypercall {

namespace {

// The flags and counts that vCPUs make together.
void add_vcpus(xen_domctl_getdomaininfo& info, Domain& d, Nanos now) {
    bool blocked = true, running = false;
    info.max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    core::for_each_vcpu(d, [&](Vcpu& v) {
        info.max_vcpu_id = v.id.v;
        const auto times = core::scheduler().run_times(v.sched, now);
        info.cpu_time += static_cast<u64>(times.time[static_cast<u32>(sched::RunState::running)]);
        if (!v.online.load()) return;
        info.nr_online_vcpus++;
        blocked = blocked && v.blocked.load();
        running = running || v.sched.running.load();
    });
    if (blocked) info.flags |= XEN_DOMINF_blocked;
    if (running) info.flags |= XEN_DOMINF_running;
}

// Who reads "shut down" goes on to read the domain's memory: none of its vCPUs may still be writing there.
bool has_stopped(Domain& d) {
    if (!d.shut_down.load()) return false;
    core::for_each_vcpu(d, [](Vcpu& v) { core::scheduler().wait_off_cpu(v.sched); });
    return true;
}

}  // namespace

xen_domctl_getdomaininfo domain_info(Domain& d, Nanos now) {
    xen_domctl_getdomaininfo info{};
    info.domain = d.id.v;
    add_vcpus(info, d, now);
    if (d.dying.load() == Dying::dead) info.flags |= XEN_DOMINF_dying;
    if (d.control.pauses.load() != 0) info.flags |= XEN_DOMINF_paused;
    if (d.control.debugged) info.flags |= XEN_DOMINF_debugged;
    if ((d.control.flags & XEN_DOMCTL_CDF_xs_domain) != 0) info.flags |= XEN_DOMINF_xs_domain;
    if (has_stopped(d)) {
        LockGuard guard(d.shutdown_lock);
        info.flags |= XEN_DOMINF_shutdown | (static_cast<u32>(d.shutdown_code) & XEN_DOMINF_shutdownmask)
                                                << XEN_DOMINF_shutdownshift;
    }
    {
        LockGuard guard(d.pages.lock);
        info.tot_pages = d.pages.total;
        info.max_pages = d.pages.max;
    }
    info.shared_info_frame = d.shared_mfn.v;
    {
        LockGuard guard(core::pools_lock());
        if (d.pool != nullptr) info.cpupool = d.pool->id;
    }
    info.outstanding_pages = core::outstanding_claim(d);
    info.ssidref = d.control.ssidref;
    std::memcpy(info.handle, d.control.handle, sizeof info.handle);
    info.gpaddr_bits = 52;  // as many as an entry of a guest's page tables has
    info.arch_config.misc_flags = d.control.misc_flags;
    return info;
}

Result<> domctl_getdomaininfo(Caller&, DomctlHeader& header, Out<xen_domctl_getdomaininfo>& out) {
    if (header.domain >= DOMID_FIRST_RESERVED) return fail(Error::inval);
    Domain* d = core::next_domain(DomId(header.domain));
    if (d == nullptr) return fail(Error::srch);
    out.v = domain_info(*d, port::now());
    header.domain = d->id.v;
    return {};
}

Result<> sysctl_getdomaininfolist(Caller&, xen_sysctl_getdomaininfolist& arg) {
    const GuestOut<xen_domctl_getdomaininfo> buffer(reinterpret_cast<u64>(arg.buffer.p));
    u32 n = 0;
    // By number, not from one to the next: a domain that was found may go at a preemption point.
    for (Domain* d = core::next_domain(DomId(arg.first_domain)); d != nullptr && n < arg.max_domains;
         d = core::next_domain(d->id + 1)) {
        TRY(buffer.write(domain_info(*d, port::now()), n));
        n++;
    }
    arg.num_domains = n;
    return {};
}

Result<> domctl_getvcpuinfo(Caller&, Domain& d, xen_domctl_getvcpuinfo& arg) {
    Vcpu* v = d.vcpu(VcpuId(arg.vcpu));
    if (v == nullptr) return fail(Error::srch);
    const auto times = core::scheduler().run_times(v->sched, port::now());
    arg.online = v->online.load();
    arg.blocked = v->blocked.load();
    arg.running = v->sched.running.load();
    arg.cpu_time = static_cast<u64>(times.time[static_cast<u32>(sched::RunState::running)]);
    arg.cpu = __atomic_load_n(&v->sched.cpu.v, __ATOMIC_RELAXED);
    return {};
}

namespace {

// XEN_DOMCTL_PFINFO_* of a page of d's.
u64 page_info(const Domain& d, u64 frame) {
    const Result<PageRef> page = get_page(Mfn(frame), d.id);
    if (!page) return XEN_DOMCTL_PFINFO_XTAB;
    const TypeWord w{page->frame().type.load(std::memory_order_relaxed)};
    u64 info = XEN_DOMCTL_PFINFO_NOTAB;
    if (w.count() != 0) {
        switch (w.type()) {
            case PageType::l1: info = XEN_DOMCTL_PFINFO_L1TAB; break;
            case PageType::l2:
            case PageType::l2_top: info = XEN_DOMCTL_PFINFO_L2TAB; break;
            case PageType::l3:
            case PageType::l3_pae: info = XEN_DOMCTL_PFINFO_L3TAB; break;
            case PageType::l4: info = XEN_DOMCTL_PFINFO_L4TAB; break;
            case PageType::none:
            case PageType::writable:
            case PageType::descriptors: break;
        }
    }
    return w.has(TypeWord::kPinned) ? info | XEN_DOMCTL_PFINFO_LPINTAB : info;
}

}  // namespace

Result<> domctl_getpageframeinfo3(Caller&, Domain& d, GuestAddr where) {
    xen_domctl_getpageframeinfo3 arg = TRY(where.in<xen_domctl_getpageframeinfo3>().read());
    constexpr u64 kMost = 1024, kBatch = 64;
    if (arg.num > kMost) return fail(Error::toobig);
    u64 list[kBatch];
    while (arg.num != 0) {
        const GuestAddr array(reinterpret_cast<u64>(arg.array.p));
        const u64 n = std::min<u64>(arg.num, kBatch);
        TRY(array.in<u64>().read(0, list, n));
        for (u64 i = 0; i < n; i++) list[i] = page_info(d, list[i]);
        TRY(array.out<u64>().write(0, list, n));
        arg.num -= n;
        arg.array.p += n;
        if (arg.num != 0 && port::preempt_wanted()) {
            TRY(where.out<xen_domctl_getpageframeinfo3>().write(arg));
            return fail(Error::restart);
        }
    }
    return {};
}

}  // namespace domus::hypercall
