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
#include "port/cpu.hpp"
#include "pv/m2p.hpp"

namespace domus::hypercall {

namespace {

// The unit of progress: the larger of an input and an output extent, which consists of whole extents of the
// other side.
struct Plan {
    Domain& d;
    GuestLongs in;
    GuestLongs out;
    unsigned in_order, out_order;
    AllocLimits limits;

    unsigned order() const { return std::max(in_order, out_order); }
    u64 in_extents() const { return u64{1} << (order() - in_order); }
    u64 out_extents() const { return u64{1} << (order() - out_order); }
};

// Pages that have been taken from the domain, chained through Frame::next; what is left goes back to it.
class TakenPages {
  public:
    explicit TakenPages(Domain& d) : d_(d) {}
    TakenPages(const TakenPages&) = delete;
    TakenPages& operator=(const TakenPages&) = delete;
    ~TakenPages() {
        while (head_ != kNoFrameLink) core::put_back_page(d_, pop());
    }

    // The pages of an extent. A page that the guest names twice is in use the second time.
    Result<> take(Mfn first, u64 count) {
        for (u64 i = 0; i < count; i++) {
            const Mfn m = first + i;
            TRY(core::take_page(d_, m));
            frame_of(m).next = head_;
            head_ = static_cast<u32>(m.v);
        }
        return {};
    }
    // Frees as many of them.
    void free(u64 count) {
        for (u64 i = 0; i < count && head_ != kNoFrameLink; i++) {
            const Mfn m = pop();
            pv::set_m2p(m, pv::kInvalidM2p);
            core::free_taken_page(m);
        }
    }

  private:
    Mfn pop() {
        const Mfn m(head_);
        head_ = frame_of(m).next;
        return m;
    }
    Domain& d_;
    u32 head_ = kNoFrameLink;
};

// Takes a chunk's pages away from the domain, each named once by its list, which is read once.
Result<> take_in(const Plan& p, u64 chunk, TakenPages& taken) {
    for (u64 e = 0; e < p.in_extents(); e++) {
        const Mfn first(TRY(p.in.read(chunk * p.in_extents() + e)));
        TRY(taken.take(first, u64{1} << p.in_order));
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

Result<> exchange_chunk(const Plan& p, u64 chunk) {
    TakenPages taken(p.d);
    TRY(take_in(p, chunk, taken));
    FreshExtents fresh(p.out_order);
    TRY(fresh.allocate(p.out_extents(), p.limits));

    const u64 pages = u64{1} << p.out_order;
    Result<> told = {};
    for (u64 e = 0; e < p.out_extents(); e++) {
        const u64 index = chunk * p.out_extents() + e;
        const Mfn first = fresh.front();
        const u32 next = fresh.behind_front();
        const auto gfn = p.out.read(index);
        // Before they are the domain's: another vCPU of it may give them up at once, and they be somebody
        // else's.
        for (u64 i = 0; i < pages; i++) {
            pv::set_m2p(first + i, gfn ? *gfn + i : pv::kInvalidM2p);
        }
        // Fails only for a dying domain, which will give up everything anyway.
        TRY(core::add_in_stead(p.d, first, pages));
        fresh.gone(next);
        taken.free(pages);
        const Result<> written = p.out.write(first.v, index);
        if (!gfn || !written) told = fail(Error::fault);
    }
    return told;
}

// The number of pages in a reservation; EINVAL if it does not fit.
Result<u64> pages_of(const xen_memory_reservation_t& r, u64 max_extents) {
    if (r.nr_extents > max_extents || r.nr_extents >> (63 - r.extent_order) != 0) return fail(Error::inval);
    return r.nr_extents << r.extent_order;
}

}  // namespace

template <class L>
MemoryCall memory_exchange(Caller& caller, GuestAddr arg) {
    xen_memory_exchange_t x = TRY((read_wire<L, xen_memory_exchange_t>(arg)));
    const auto save = [&] { return write_wire<L>(arg, x); };

    const unsigned most = max_extent_order(caller.domain);
    if (x.in.extent_order > most || x.out.extent_order > most) return fail(Error::perm);
    if (x.in.domid != x.out.domid) return fail(Error::inval);
    const u64 pages = TRY(pages_of(x.in, kMaxExtents<L>));
    if (pages != TRY(pages_of(x.out, kMaxExtents<L>))) return fail(Error::inval);
    Domain* d = TRY(target_domain(caller, x.in.domid));

    const Plan plan{.d = *d,
                    .in = GuestLongs::of<L>(handle_address(x.in.extent_start)),
                    .out = GuestLongs::of<L>(handle_address(x.out.extent_start)),
                    .in_order = x.in.extent_order,
                    .out_order = x.out.extent_order,
                    .limits = core::limits_for(*d, limits_of(x.out.mem_flags))};
    if (x.nr_exchanged > x.in.nr_extents || x.nr_exchanged % plan.in_extents() != 0)
        return fail(Error::inval);

    // What has been done is in the structure: there a preempted call finds its place again.
    const u64 begin = x.nr_exchanged / plan.in_extents(), end = x.in.nr_extents / plan.in_extents();
    for (u64 chunk = begin; chunk < end; chunk++) {
        if (chunk != begin && port::preempt_wanted()) {
            TRY(save());
            return again(GuestLong(XENMEM_exchange), arg);
        }
        const Result<> done = exchange_chunk(plan, chunk);
        if (!done) {
            // Kernels try one address limit after the other: no memory below one is nothing to tell of.
            if (done.error() != Error::nomem) {
                guest_log(Level::debug, "d{}: memory exchange stops at extent {} of {} ({})", d->id,
                          u64{x.nr_exchanged}, u64{x.in.nr_extents}, done.error());
            }
            TRY(save());
            return done;
        }
        x.nr_exchanged += plan.in_extents();
    }
    TRY(save());
    return s64{0};
}

template MemoryCall memory_exchange<Layout64>(Caller&, GuestAddr);
template MemoryCall memory_exchange<Layout32>(Caller&, GuestAddr);

}  // namespace domus::hypercall
