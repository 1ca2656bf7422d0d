// SPDX-License-Identifier: GPL-2.0-or-later
// mmu_update (1), update_va_mapping (14), update_va_mapping_otherdomain (22), mmuext_op (26): decoding and
// continuations for pv/mmu.
#include "pv/mmu.hpp"

#include "hypercall/families.hpp"
#include "hypercall/wire.hpp"

namespace domus::hypercall {

namespace {

// Set in the count of a continued call: what was done before is in *pdone. No list is that long.
// *pdone.
constexpr u32 kContinued = 1u << 31;

// One list of requests of `size` bytes each. `run` carries out what it can.
template <class Run>
Preemptible<GuestAddr, u32, GuestAddr, u32> run_list(GuestAddr list, u32 count, GuestAddr pdone, u32 domain,
                                                     usize size, Run run) {
    u32 before = 0;
    if ((count & kContinued) != 0) {
        count &= ~kContinued;
        if (!pdone.null()) before = TRY(pdone.in<u32>().read());
    }
    const pv::MmuProgress progress = run(count);
    const bool preempted = !progress.status && progress.status.error() == Error::restart;
    // A guest that gave a bad address for the count is told so, unless there is worse to tell.
    Result<> counted;
    if (!pdone.null()) counted = pdone.out<u32>().write(before + progress.done);
    if (preempted)
        return again(list.offset(u64{progress.done} * size), (count - progress.done) | kContinued, pdone,
                     domain);
    return progress.status ? counted : progress.status;
}

}  // namespace

Preemptible<GuestAddr, u32, GuestAddr, u32> mmu_update(Caller& caller, GuestAddr list, u32 count,
                                                       GuestAddr pdone, u32 domain) {
    return run_list(list, count, pdone, domain, sizeof(mmu_update_t),
                    [&](u32 n) { return pv::mmu_update(caller.vcpu, list.in<mmu_update_t>(), n, domain); });
}

// The requests are read one by one, in the guest's layout.
template <class L>
Preemptible<GuestAddr, u32, GuestAddr, u32> mmuext_op(Caller& caller, GuestAddr list, u32 count,
                                                      GuestAddr pdone, u32 domain) {
    using T = typename Wire<L, mmuext_op_t>::Type;
    return run_list(list, count, pdone, domain, sizeof(T),
                    [&](u32 n) { return pv::mmuext_op(caller.vcpu, list.in<T>(), n, domain); });
}
template Preemptible<GuestAddr, u32, GuestAddr, u32> mmuext_op<Layout64>(Caller&, GuestAddr, u32, GuestAddr,
                                                                         u32);
template Preemptible<GuestAddr, u32, GuestAddr, u32> mmuext_op<Layout32>(Caller&, GuestAddr, u32, GuestAddr,
                                                                         u32);

Result<> update_va_mapping(Caller& caller, GuestLong va, u64 value, GuestLong flags) {
    return pv::update_va_mapping(caller.vcpu, Vaddr(va.v), Pte(value), flags.v);
}

Result<> update_va_mapping_otherdomain(Caller& caller, GuestLong va, u64 value, GuestLong flags,
                                       DomId domain) {
    return pv::update_va_mapping(caller.vcpu, Vaddr(va.v), Pte(value), flags.v, domain.v);
}

}  // namespace domus::hypercall
