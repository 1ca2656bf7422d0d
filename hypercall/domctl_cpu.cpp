// SPDX-License-Identifier: GPL-2.0-or-later
// domctl: what a domain is told of its processors, its time stamp counter, its width, the registers of its
// vCPUs that no other structure has.
#include <array>

#include "base/log.hpp"
#include "hypercall/cpu_policy.hpp"
#include "hypercall/domctl.hpp"
#include "port/time.hpp"
#include "pv/cpu_policy.hpp"
#include "pv/msr.hpp"

namespace domus::hypercall {

namespace {

// These operations are about another domain: the caller's own vCPU cannot be held still.
Result<> not_self(const Caller& caller, const Domain& d) {
    if (&d == &caller.domain) return fail(Error::inval);
    return {};
}

// Holds the domain still while it lives.
struct Paused {
    Domain& d;
    explicit Paused(Domain& domain) : d(domain) { core::pause_domain_sync(d); }
    Paused(const Paused&) = delete;
    Paused& operator=(const Paused&) = delete;
    ~Paused() { core::unpause_domain(d); }
};

bool has_run(const Domain& d) {
    bool any = false;
    core::for_each_vcpu(d, [&any](const Vcpu& v) { any = any || v.time_version != 0; });
    return any;
}

Result<> build_policy(CpuPolicy& policy, const xen_domctl_cpu_policy_t& arg, pv::PolicyError& error) {
    if (arg.nr_leaves > pv::kMaxWireLeaves || arg.nr_msrs > pv::kMaxWireMsrs) return fail(Error::toobig);
    const GuestIn<xen_cpuid_leaf_t> leaves(reinterpret_cast<u64>(arg.leaves.p));
    const GuestIn<xen_msr_entry_t> msrs(reinterpret_cast<u64>(arg.msrs.p));
    for (u32 i = 0; i < arg.nr_leaves; i++) {
        const xen_cpuid_leaf_t leaf = TRY(leaves.read(i));
        TRY(pv::from_wire(policy, leaf, error));
    }
    for (u32 i = 0; i < arg.nr_msrs; i++) {
        const xen_msr_entry_t msr = TRY(msrs.read(i));
        TRY(pv::from_wire(policy, msr, error));
    }
    TRY(pv::check_policy(policy, error));
    pv::fit_policy(policy);
    return {};
}

Result<> install_policy(Domain& d, const CpuPolicy& policy) {
    const Paused paused(d);
    // What a kernel has found at its start must stay true.
    if (has_run(d)) return fail(Error::exist);
    Box<CpuPolicy> fresh;
    if (!d.cpu_policy) fresh = TRY(make<CpuPolicy>());
    LockGuard guard(d.cpu_policy_lock);
    if (!d.cpu_policy) d.cpu_policy = std::move(fresh);
    *d.cpu_policy = policy;
    return {};
}

CpuPolicy copy_of_policy(Domain& d) {
    LockGuard guard(d.cpu_policy_lock);
    return pv::policy_of(d);
}

// Registers of a vCPU that are moved with it: fewer than this.
constexpr u32 kMaxVcpuMsrs = 2;
constexpr u32 kMiscFeatures = 0x140, kTscAux = 0xc0000103;

Result<> set_vcpu_msr(Vcpu& v, const xen_domctl_vcpu_msr_t& msr) {
    if (msr.reserved != 0) return fail(Error::inval);
    switch (msr.index) {
        case kMiscFeatures:  // no feature of it can be on
            if (msr.value != 0) return fail(Error::inval);
            return {};
        case kTscAux:
            if (!pv::has_tsc_aux(*v.domain) || msr.value >> 32 != 0) return fail(Error::inval);
            v.pv.tsc_aux = static_cast<u32>(msr.value);
            return {};
        default: return fail(Error::inval);
    }
}

}  // namespace

Result<> domctl_get_cpu_policy(Caller&, Domain& d, xen_domctl_cpu_policy_t& arg) {
    return write_policy(copy_of_policy(d), arg.nr_leaves, reinterpret_cast<u64>(arg.leaves.p), arg.nr_msrs,
                        reinterpret_cast<u64>(arg.msrs.p));
}

Result<> domctl_set_cpu_policy(Caller& caller, Domain& d, GuestAddr where) {
    TRY(not_self(caller, d));
    auto arg = TRY(where.in<xen_domctl_cpu_policy_t>().read());
    CpuPolicy policy = copy_of_policy(d);
    pv::PolicyError error;
    if (const Result<> built = build_policy(policy, arg, error); !built) {
        guest_log(Level::warning,
                  "d{}: a CPU policy is refused ({}): leaf {:#x} subleaf {:#x}, MSR {:#x} (all ones: not "
                  "it). It asks for "
                  "what this host does not have; a lower limit or fewer features in the domain's cpuid "
                  "setting would help",
                  d.id, built.error(), error.leaf, error.subleaf, error.msr);
        arg.err_leaf = error.leaf, arg.err_subleaf = error.subleaf, arg.err_msr = error.msr;
        TRY(where.out<xen_domctl_cpu_policy_t>().write(arg));
        return built;
    }
    const Result<> done = install_policy(d, policy);
    if (!done && done.error() == Error::exist)
        guest_log(Level::warning, "d{}: its CPU policy can no longer be changed: it has run already", d.id);
    return done;
}

Result<> domctl_gettscinfo(Caller& caller, Domain& d, Out<xen_domctl_tsc_info>& out) {
    TRY(not_self(caller, d));
    const core::GuestTsc& tsc = d.tsc;
    out.v.tsc_mode = tsc.mode;
    out.v.incarnation = tsc.incarnation;
    if (tsc.mode == static_cast<u32>(core::TscMode::never)) return {};
    out.v.gtsc_khz = tsc.khz != 0 ? tsc.khz : static_cast<u32>(port::tsc_khz());
    out.v.elapsed_nsec = static_cast<u64>(port::now()) - static_cast<u64>(tsc.offset);
    return {};
}

Result<> domctl_settscinfo(Caller& caller, Domain& d, const xen_domctl_tsc_info& arg) {
    TRY(not_self(caller, d));
    const core::GuestTsc tsc =
        TRY(core::make_tsc(arg.tsc_mode, arg.elapsed_nsec, arg.gtsc_khz, arg.incarnation,
                           static_cast<u32>(port::tsc_khz()), port::now()));
    const Paused paused(d);
    d.tsc = tsc;
    // The published clocks are in ticks of the old counter.
    core::for_each_vcpu(d, [](Vcpu& v) { v.published_tsc = 0, v.published_mul = 0; });
    return {};
}

Result<> domctl_get_address_size(Caller&, Domain& d, Out<xen_domctl_address_size>& out) {
    out.v.size = d.is_32bit ? 32 : 64;
    return {};
}

Result<> domctl_set_address_size(Caller&, Domain& d, const xen_domctl_address_size& arg) {
    if (arg.size == (d.is_32bit ? 32u : 64u)) return {};
    // There is no way back: what is laid out for one width stays so.
    if (arg.size != 32 || d.privileged || d.hardware) return fail(Error::inval);
    const Result<> done = core::make_32bit(d);
    if (!done)
        guest_log(Level::warning, "d{}: too late to become a 32-bit guest: it has memory or a vCPU's context",
                  d.id);
    return done;
}

Result<> domctl_get_vcpu_msrs(Caller& caller, Domain& d, GuestAddr where) {
    TRY(not_self(caller, d));
    auto arg = TRY(where.in<xen_domctl_vcpu_msrs>().read());
    Vcpu* v = d.vcpu(VcpuId(arg.vcpu));
    if (v == nullptr) return fail(Error::srch);
    if (arg.msrs.p == nullptr) {
        arg.msr_count = kMaxVcpuMsrs;
        return where.out<xen_domctl_vcpu_msrs>().write(arg);
    }
    std::array<xen_domctl_vcpu_msr_t, kMaxVcpuMsrs> list{};
    u32 n = 0;
    {
        const Paused paused(d);
        // A register at its reset value need not be moved.
        if (pv::has_tsc_aux(d) && v->pv.tsc_aux != 0) list[n++] = {kTscAux, 0, v->pv.tsc_aux};
    }
    const bool fits = n <= arg.msr_count;
    if (fits && n != 0)
        TRY(GuestOut<xen_domctl_vcpu_msr_t>(reinterpret_cast<u64>(arg.msrs.p)).write(0, list.data(), n));
    arg.msr_count = n;
    TRY(where.out<xen_domctl_vcpu_msrs>().write(arg));
    if (!fits) return fail(Error::nobufs);
    return {};
}

Result<> domctl_set_vcpu_msrs(Caller& caller, Domain& d, GuestAddr where) {
    TRY(not_self(caller, d));
    auto arg = TRY(where.in<xen_domctl_vcpu_msrs>().read());
    Vcpu* v = d.vcpu(VcpuId(arg.vcpu));
    if (v == nullptr) return fail(Error::srch);
    if (arg.msr_count > kMaxVcpuMsrs) return fail(Error::inval);
    const GuestIn<xen_domctl_vcpu_msr_t> msrs(reinterpret_cast<u64>(arg.msrs.p));
    const Paused paused(d);
    for (u32 i = 0; i < arg.msr_count; i++) {
        const xen_domctl_vcpu_msr_t msr = TRY(msrs.read(i));
        if (const Result<> done = set_vcpu_msr(*v, msr); !done) {
            guest_log(Level::warning, "d{}v{}: MSR {:#x} cannot be set to {:x} by the toolstack", d.id, v->id,
                      msr.index, u64{msr.value});
            arg.msr_count = i;
            TRY(where.out<xen_domctl_vcpu_msrs>().write(arg));
            return done;
        }
    }
    return {};
}

}  // namespace domus::hypercall
