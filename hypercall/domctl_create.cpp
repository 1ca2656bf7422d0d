// SPDX-License-Identifier: GPL-2.0-or-later
// domctl: making domains, giving them vCPUs and memory, and taking them apart.
#include <algorithm>
#include <cstring>

#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/pages.hpp"
#include "hypercall/dispatch.hpp"
#include "hypercall/domctl.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "mm/write_log.hpp"
#include "port/cpu.hpp"
#include "port/guest_entry.hpp"
#include "port/memory.hpp"

namespace domus::hypercall {

namespace {

// What is asked for and not to be had, null if there is no such thing.
struct Refused {
    const char* what;
    const char* remedy;
};
const Refused* refused_feature(const xen_domctl_createdomain& c) {
    static constexpr Refused kHvm{"a domain with hardware virtualisation", "use type=\"pv\""};
    static constexpr Refused kIommu{"passing devices through an IOMMU", "do without the devices"};
    static constexpr Refused kVpmu{"virtual performance counters", "do without vpmu"};
    static constexpr Refused kTrace{"processor trace", "do without vmtrace"};
    static constexpr Refused kDevices{"emulated devices", "use type=\"pv\""};
    if ((c.flags & (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap | XEN_DOMCTL_CDF_nested_virt |
                    XEN_DOMCTL_CDF_oos_off)) != 0)
        return &kHvm;
    if ((c.flags & XEN_DOMCTL_CDF_iommu) != 0) return &kIommu;
    if ((c.flags & XEN_DOMCTL_CDF_vpmu) != 0) return &kVpmu;
    if (c.vmtrace_size != 0) return &kTrace;
    if (c.arch.emulation_flags != 0) return &kDevices;
    return nullptr;
}

Result<> check(const Caller& caller, const xen_domctl_createdomain& c) {
    constexpr u32 kFlags = (XEN_DOMCTL_CDF_MAX << 1) - 1, kIommuOptions = (XEN_DOMCTL_IOMMU_MAX << 1) - 1;
    if ((c.flags & ~kFlags) != 0 || (c.iommu_opts & ~kIommuOptions) != 0 ||
        (c.arch.misc_flags & ~XEN_X86_MISC_FLAGS_MAX) != 0)
        return fail(Error::inval);
    if (const Refused* r = refused_feature(c)) {
        guest_log(Level::warning, "d{}: createdomain: Domus does not offer {}; {}", caller.domain.id, r->what,
                  r->remedy);
        return fail(Error::inval);
    }
    return {};
}

Result<DomainConfig> config_of(const xen_domctl_createdomain& c) {
    DomainConfig config;
    config.max_vcpus = c.max_vcpus;
    config.max_port = std::min(c.max_evtchn_port, core::kMaxPorts - 1);
    const core::GrantLimits grants =
        TRY(core::grant_limits_for(c.max_grant_frames, c.max_maptrack_frames, c.grant_opts));
    config.max_grant_frames = grants.max_frames;
    config.max_maptrack_frames = grants.max_maptrack_frames;
    config.max_grant_version = grants.max_version;
    config.cpupool = c.cpupool_id;
    return config;
}

// Ids are given in turn, so that a new domain is not soon mistaken for one that has gone.
constinit std::atomic<u16> last_id{0};

Result<Domain*> create_anywhere(const DomainConfig& config) {
    for (u32 tries = 1; tries < DOMID_FIRST_RESERVED; tries++) {
        u16 id = last_id.load();
        u16 next;
        do {
            next = static_cast<u16>(u32{id} + 1 < DOMID_FIRST_RESERVED ? id + 1 : 1);
        } while (!last_id.compare_exchange_weak(id, next));
        const Result<Domain*> made = core::create_domain(DomId(next), config);
        if (made || made.error() != Error::exist) return made;
    }
    return fail(Error::nomem);
}

}  // namespace

Result<> domctl_createdomain(Caller& caller, DomctlHeader& header, const xen_domctl_createdomain& arg) {
    TRY(check(caller, arg));
    const DomainConfig config = TRY(config_of(arg));
    const bool any = header.domain == 0 || header.domain >= DOMID_FIRST_RESERVED;
    Domain& d = *TRY(any ? create_anywhere(config) : core::create_domain(DomId(header.domain), config));
    core::DomainControl& control = d.control;
    std::memcpy(control.handle, arg.handle, sizeof control.handle);
    control.ssidref = arg.ssidref;
    control.flags = arg.flags;
    control.misc_flags = arg.arch.misc_flags;
    control.pauses.store(1);  // the pause that every domain begins with is control software's to end
    header.domain = d.id.v;
    return {};
}

Result<> domctl_max_vcpus(Caller& caller, Domain& d, const xen_domctl_max_vcpus& arg) {
    if (&d == &caller.domain || arg.max != d.max_vcpus || d.dying.load() != Dying::no)
        return fail(Error::inval);
    for (u32 i = 0; i < arg.max; i++) {
        if (d.vcpu(VcpuId(i)) != nullptr) continue;
        TRY(core::create_vcpu(d, VcpuId(i)));
        if (port::preempt_wanted()) return fail(Error::restart);
    }
    return {};
}

Result<> domctl_max_mem(Caller&, Domain& d, const xen_domctl_max_mem& arg) {
    // Below what it has: it may have no more, and keeps what it has.
    const u64 pages = arg.max_memkb >> (kPageShift - 10);
    LockGuard guard(d.pages.lock);
    d.pages.max = std::min<u64>(pages, ~u32{0});
    return {};
}

Result<> domctl_destroydomain(Caller& caller, Domain& d) {
    if (&d == &caller.domain) return fail(Error::inval);
    if (d.hardware) {
        guest_log(Level::warning, "d{}: destroydomain: d{} is the hardware domain; shut it down instead",
                  caller.domain.id, d.id);
        return fail(Error::perm);
    }
    // Its pages may be held by others for long; that it is dead is all that can be asked for.
    if (d.dying.load() == Dying::dead) return {};
    return core::destroy_domain(d);
}

Result<> domctl_hypercall_init(Caller&, Domain& d, const xen_domctl_hypercall_init& arg) {
    const Result<PageRef> page = get_page(Mfn(arg.gmfn), d.id);
    if (!page || !get_writable(page->frame())) return fail(Error::access);
    upcall::fill_hypercall_page(d, port::frame_ptr<u8>(page->mfn()));
    note_written(page->frame());
    put_writable(page->frame());
    return {};
}

}  // namespace domus::hypercall
