// SPDX-License-Identifier: GPL-2.0-or-later
// XENMEM_exchange: a domain gives pages and gets others for them, larger or smaller extents, or ones below an
// address limit. Kernels make memory for devices contiguous with it.
#include <algorithm>

#include "base/log.hpp"
#include "core/claims.hpp"
#include "core/pages.hpp"
#include "hypercall/memory_op.hpp"
#include "hypercall/target.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "port/cpu.hpp"
#include "pv/m2p.hpp"

namespace domus::hypercall {

namespace {

// The unit of progress: the larger of an input and an output extent, which consists of whole extents of the
// other side.
struct Plan {
    Domain& d;
    GuestIn<xen_pfn_t> in;
    GuestInOut<xen_pfn_t> out;
    unsigned in_order, out_order;
    AllocLimits limits;

    unsigned order() const { return std::max(in_order, out_order); }
    u64 in_extents() const { return u64{1} << (order() - in_order); }
    u64 out_extents() const { return u64{1} << (order() - out_order); }
};

// Is the page the domain's alone: no mapping, no type in use, nobody else's reference? Asked under one
// reference of ours.
bool exclusive(const Frame& f) {
    constexpr u64 kOwnerAndUs = 2;
    const u64 refs = f.refs.load(std::memory_order_acquire);
    return (refs & kRefOwned) != 0 && (refs & kRefCount) == kOwnerAndUs &&
           TypeWord{f.type.load(std::memory_order_acquire)}.at_rest();
}

// The lists can be read and the pages are free to go.
Result<> check_chunk(const Plan& p, u64 chunk) {
    for (u64 e = 0; e < p.in_extents(); e++) {
        const Mfn first(TRY(p.in.read(chunk * p.in_extents() + e)));
        for (u64 i = 0; i < u64{1} << p.in_order; i++) {
            const PageRef page = TRY(get_page(first + i, p.d.id));
            if (!exclusive(page.frame())) return fail(Error::busy);
        }
    }
    for (u64 e = 0; e < p.out_extents(); e++) TRY(p.out.read(chunk * p.out_extents() + e));
    return {};
}

// Extents that are nobody's yet, chained through Frame::next of their first frames; freed with the chain.
class FreshExtents {
  public:
    explicit FreshExtents(unsigned order) : order_(order) {}
    FreshExtents(const FreshExtents&) = delete;
    FreshExtents& operator=(const FreshExtents&) = delete;
    ~FreshExtents() {
        while (!empty()) free_frames(pop(), order_);
    }

    Result<> allocate(u64 extents, const AllocLimits& limits) {
        for (u64 i = 0; i < extents; i++) {
            const Mfn m = TRY(core::alloc_unclaimed(order_, limits));
            frame_of(m).next = head_;
            head_ = static_cast<u32>(m.v);
        }
        return {};
    }
    bool empty() const { return head_ == kNoFrameLink; }
    Mfn front() const { return Mfn(head_); }
    Mfn pop() {
        const Mfn m(head_);
        head_ = frame_of(m).next;
        return m;
    }
    // `m` is the front, which has a new owner; `next` was behind it.
    void gone(u32 next) { head_ = next; }
    u32 behind_front() const { return frame_of(front()).next; }

  private:
    unsigned order_;
    u32 head_ = kNoFrameLink;
};

// From here on nothing of a chunk is undone. A page that the guest names twice, or maps again meanwhile, is
// its own loss: each page is given up at most once, and one still in use stays counted until it is not.
void give_up_in(const Plan& p, u64 chunk) {
    for (u64 e = 0; e < p.in_extents(); e++) {
        const auto first = p.in.read(chunk * p.in_extents() + e);
        if (!first) continue;
        for (u64 i = 0; i < u64{1} << p.in_order; i++) {
            const Mfn m(*first + i);
            {
                const auto page = get_page(m, p.d.id);
                if (!page) continue;
                pv::set_m2p(m, pv::kInvalidM2p);
            }
            static_cast<void>(core::release_page(p.d, m));
        }
    }
}

// Widens the domain's limit while it holds both the old pages and the new ones.
class Slack {
  public:
    Slack(Domain& d, u64 pages) : d_(d) {
        LockGuard guard(d_.pages.lock);
        // A domain without a limit (all ones) needs no slack, and must not wrap around to a tiny one.
        pages_ = std::min(pages, ~u64{0} - d_.pages.max);
        d_.pages.max += pages_;
    }
    Slack(const Slack&) = delete;
    Slack& operator=(const Slack&) = delete;
    ~Slack() {
        LockGuard guard(d_.pages.lock);
        d_.pages.max -= pages_;
    }

  private:
    Domain& d_;
    u64 pages_ = 0;
};

Result<> exchange_chunk(const Plan& p, u64 chunk) {
    TRY(check_chunk(p, chunk));
    FreshExtents fresh(p.out_order);
    TRY(fresh.allocate(p.out_extents(), p.limits));

    const u64 pages = u64{1} << p.out_order;
    const Slack slack(p.d, u64{1} << p.order());
    Result<> told = {};
    for (u64 e = 0; e < p.out_extents(); e++) {
        const u64 index = chunk * p.out_extents() + e;
        const Mfn first = fresh.front();
        const u32 next = fresh.behind_front();
        // Fails only for a dying domain, which will give up everything anyway.
        TRY(core::add_pages(p.d, first, pages));
        fresh.gone(next);
        const auto gfn = p.out.read(index);
        for (u64 i = 0; i < pages; i++) {
            pv::set_m2p(first + i, gfn ? *gfn + i : pv::kInvalidM2p);
        }
        const Result<> written = p.out.write(first.v, index);
        if (!gfn || !written) told = fail(Error::fault);
    }
    give_up_in(p, chunk);
    return told;
}

// The number of pages in a reservation; EINVAL if it does not fit.
Result<u64> pages_of(const xen_memory_reservation_t& r) {
    if (r.nr_extents > kMaxExtents || r.nr_extents >> (63 - r.extent_order) != 0) return fail(Error::inval);
    return r.nr_extents << r.extent_order;
}

}  // namespace

MemoryCall memory_exchange(Caller& caller, GuestAddr arg) {
    const auto where = arg.in_out<xen_memory_exchange_t>();
    xen_memory_exchange_t x = TRY(where.read());

    const unsigned most = max_extent_order(caller.domain);
    if (x.in.extent_order > most || x.out.extent_order > most) return fail(Error::perm);
    if (x.in.domid != x.out.domid) return fail(Error::inval);
    const u64 pages = TRY(pages_of(x.in));
    if (pages != TRY(pages_of(x.out))) return fail(Error::inval);
    Domain* d = TRY(target_domain(caller, x.in.domid));

    const Plan plan{.d = *d,
                    .in = GuestIn<xen_pfn_t>(reinterpret_cast<u64>(x.in.extent_start.p)),
                    .out = GuestInOut<xen_pfn_t>(reinterpret_cast<u64>(x.out.extent_start.p)),
                    .in_order = x.in.extent_order,
                    .out_order = x.out.extent_order,
                    .limits = limits_of(x.out.mem_flags)};
    if (x.nr_exchanged > x.in.nr_extents || x.nr_exchanged % plan.in_extents() != 0)
        return fail(Error::inval);

    // What has been done is in the structure: there a preempted call finds its place again.
    const u64 begin = x.nr_exchanged / plan.in_extents(), end = x.in.nr_extents / plan.in_extents();
    for (u64 chunk = begin; chunk < end; chunk++) {
        if (chunk != begin && port::preempt_wanted()) {
            TRY(where.write(x));
            return again(GuestLong(XENMEM_exchange), arg);
        }
        const Result<> done = exchange_chunk(plan, chunk);
        if (!done) {
            // Kernels try one address limit after the other: no memory below one is nothing to tell of.
            if (done.error() != Error::nomem) {
                guest_log(Level::debug, "d{}: memory exchange stops at extent {} of {} ({})", d->id,
                          u64{x.nr_exchanged}, u64{x.in.nr_extents}, done.error());
            }
            TRY(where.write(x));
            return done;
        }
        x.nr_exchanged += plan.in_extents();
    }
    TRY(where.write(x));
    return s64{0};
}

}  // namespace domus::hypercall
