// SPDX-License-Identifier: GPL-2.0-or-later
// A domain's list of pages, and the accounting of those that come and go.
#include "core/pages.hpp"

#include "abi/xen32.hpp"
#include "core/claims.hpp"
#include "core/domain.hpp"
#include "core/domain_free.hpp"
#include "core/domain_list.hpp"
#include "mm/frame_refs.hpp"
#include "mm/page_type.hpp"
#include "mm/write_log.hpp"
#include "port/cpu.hpp"
#include "port/memory.hpp"

namespace domus::core {

namespace {

// Frame::next of a page that is not in its owner's list: being given up, but still counted; shared by the
// hypervisor and not among the owner's pages, but holding a reference to it; or shared by a domain that never
// came to be. No frame has these numbers: kMaxFrames is far below.
constexpr u32 kCounted = ~u32{1};
constexpr u32 kUncounted = ~u32{2};
constexpr u32 kStillborn = ~u32{3};

bool listed(const Frame& f) { return f.next != kCounted && f.next != kUncounted && f.next != kStillborn; }

void link(DomainPages& p, u32 m) {
    Frame& f = frame_of(Mfn(m));
    f.next = kNoFrameLink;
    f.prev = p.last;
    (p.last == kNoFrameLink ? p.first : frame_of(Mfn(p.last)).next) = m;
    p.last = m;
}

void unlink(DomainPages& p, u32 m) {
    Frame& f = frame_of(Mfn(m));
    (f.prev == kNoFrameLink ? p.first : frame_of(Mfn(f.prev)).next) = f.next;
    (f.next == kNoFrameLink ? p.last : frame_of(Mfn(f.next)).prev) = f.prev;
}

// Takes `count` from the domain's allowance. The first page holds a reference to the domain.
Result<> charge(Domain& d, u64 count) {
    DomainPages& p = d.pages;
    LockGuard guard(p.lock);
    if (d.dying.load() != Dying::no) return fail(Error::inval);
    if (count > p.max || p.total > p.max - count) return fail(Error::nomem);
    if (p.total == 0) d.refs.fetch_add(1);
    p.total += count;
    if (p.total > p.peak) p.peak = p.total;
    return {};
}

// True if the domain's reference for having pages is to be put, with no lock held.
[[nodiscard]] bool uncharge(DomainPages& p, u64 count) {
    p.total -= count;
    return p.total == 0;
}

bool frame_released(Mfn m, DomId owner) {
    Frame& f = frame_of(m);
    if (f.next == kStillborn) return true;
    Domain* d = find_domain(owner);
    if (d == nullptr) return true;
    bool last = f.next == kUncounted;
    if (!last) {
        LockGuard guard(d->pages.lock);
        if (listed(f)) unlink(d->pages, static_cast<u32>(m.v));
        last = uncharge(d->pages, 1);
    }
    if (last) put_domain(*d);
    return true;
}

// Device memory that a domain may map: its own permission says so.
bool may_map_device(DomId domain, Mfn m, bool) {
    Domain* d = find_domain(domain);
    return d != nullptr && d->iomem_caps.contains(m.v);
}

// In the list first: from the moment that it has an owner another of the domain's vCPUs may give it up.
void take_over_one(Domain& d, Mfn m) {
    link(d.pages, static_cast<u32>(m.v));
    assign_frame(m, d.id);
}

void take_over(Domain& d, Mfn first, u64 count) {
    for (u64 i = 0; i < count; i++) {
        LockGuard guard(d.pages.lock);
        take_over_one(d, first + i);
    }
}

}  // namespace

void init_pages() {
    set_frame_release(frame_released);
    set_io_permitted(may_map_device);
}

AllocLimits limits_for(const Domain& d, AllocLimits limits) {
    constexpr unsigned kBits = 37;
    static_assert(u64{1} << (kBits - kPageShift) <= abi32::kM2pEntries);
    if (d.is_32bit) limits.address_bits = std::min(limits.address_bits, kBits);
    return limits;
}

Result<Mfn> allocate_pages(Domain& d, unsigned order, AllocLimits limits) {
    const u64 count = u64{1} << order;
    TRY(charge(d, count));
    const Result<Mfn> first = alloc_claimed(d, order, limits_for(d, limits));
    if (!first) {
        bool last = false;
        {
            LockGuard guard(d.pages.lock);
            last = uncharge(d.pages, count);
        }
        if (last) put_domain(d);
        return first;
    }
    take_over(d, *first, count);
    return first;
}

Result<> add_pages(Domain& d, Mfn first, u64 count) {
    TRY(charge(d, count));
    take_over(d, first, count);
    return {};
}

Result<> release_page(Domain& d, Mfn m) {
    PageRef held = TRY(get_page(m, d.id));
    if (!disown_frame(m)) return fail(Error::inval);
    return {};
}

Result<> take_page(Domain& d, Mfn m) {
    PageRef held = TRY(get_page(m, d.id));
    Frame& f = held.frame();
    LockGuard guard(d.pages.lock);
    u64 owners_and_ours = kRefOwned | 2;
    if (!listed(f) || !f.refs.compare_exchange_strong(owners_and_ours, 1)) return fail(Error::busy);
    // Whoever takes a reference looks at the owner before and after: either he sees that it has none, or we
    // see his reference. Then nobody can come to have one, nor a use of a type.
    __atomic_store_n(&f.owner.v, kOwnerNone.v, __ATOMIC_SEQ_CST);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (f.refs.load() != 1 || !TypeWord{f.type.load()}.at_rest()) {
        __atomic_store_n(&f.owner.v, d.id.v, __ATOMIC_SEQ_CST);
        f.refs.fetch_add(kRefOwned | 1);
        return fail(Error::busy);
    }
    unlink(d.pages, static_cast<u32>(m.v));
    static_cast<void>(held.release());
    return {};
}

void put_back_page(Domain& d, Mfn m) {
    bool last = false;
    {
        LockGuard guard(d.pages.lock);
        if (d.dying.load() == Dying::no) {
            link(d.pages, static_cast<u32>(m.v));
            // As take_page() left it: the reference was ours and becomes the owner's.
            __atomic_store_n(&frame_of(m).owner.v, d.id.v, __ATOMIC_SEQ_CST);
            frame_of(m).refs.fetch_or(kRefOwned);
            return;
        }
        last = uncharge(d.pages, 1);
    }
    put_ref(frame_of(m));
    if (last) put_domain(d);
}

Result<> add_in_stead(Domain& d, Mfn first, u64 count) {
    for (u64 i = 0; i < count; i++) {
        LockGuard guard(d.pages.lock);
        // Only before the first: what has begun to be the domain's is given up with the rest of it.
        if (i == 0 && d.dying.load() != Dying::no) return fail(Error::inval);
        take_over_one(d, first + i);
    }
    return {};
}

void free_taken_page(Mfn m) { put_ref(frame_of(m)); }

Result<> detach_page(Domain& d, Mfn m) {
    PageRef held = TRY(get_page(m, d.id));
    Frame& f = held.frame();
    // The owner's reference and ours: whoever uses a page has one of his own, so its type is at rest as well.
    u64 alone = kRefOwned | 2;
    if (!f.refs.compare_exchange_strong(alone, 0, std::memory_order_acq_rel)) return fail(Error::inval);
    static_cast<void>(held.release());
    f.type.store(0, std::memory_order_relaxed);
    bool last = false;
    {
        LockGuard guard(d.pages.lock);
        unlink(d.pages, static_cast<u32>(m.v));
        last = uncharge(d.pages, 1);
    }
    if (last) put_domain(d);
    return {};
}

Result<> release_all_pages(Domain& d) {
    DomainPages& p = d.pages;
    for (;;) {
        Mfn m = kNoMfn;
        {
            LockGuard guard(p.lock);
            // A page whose last reference is just going is still in the list: its release takes it out.
            u32 at = p.first;
            while (at != kNoFrameLink && !get_ref(frame_of(Mfn(at)), d.id)) at = frame_of(Mfn(at)).next;
            if (at == kNoFrameLink) return {};
            m = Mfn(at);
            unlink(p, at);
            frame_of(m).next = kCounted;
        }
        Frame& f = frame_of(m);
        const Result<> done = relinquish_page_type(f);
        if (!done) {
            {
                LockGuard guard(p.lock);
                link(p, static_cast<u32>(m.v));
            }
            put_ref(f);
            return done;
        }
        disown_frame(m);
        put_ref(f);
        if (port::preempt_wanted()) return fail(Error::restart);
    }
}

Result<Mfn> allocate_shared_page(Domain& d) {
    // Who frees such pages does so after this is set, with the lock that those who allocate them hold.
    if (d.dying.load() != Dying::no) return fail(Error::inval);
    const Mfn m = TRY(alloc_frames(0, {.scrub = true}));
    frame_of(m).next = frame_of(m).prev = kUncounted;
    // Who still maps it when the domain has ended keeps the domain: otherwise the next one with its number
    // would own the page as well.
    d.refs.fetch_add(1);
    // The guest may give up its hold as for any page, and we go on writing there. Thus the page is never a
    // page table nor one of descriptors, also while nobody maps it.
    assign_written(m, d.id);
    return m;
}

void discard_shared_page(Mfn m) {
    frame_of(m).next = kStillborn;
    free_shared_page(m);
}

void free_shared_page(Mfn m) {
    put_writable(frame_of(m));
    disown_frame(m);
    put_ref(frame_of(m));
}

Result<> hold_writable_page(Domain& d, Mfn m) {
    PageRef page = TRY(get_page(m, d.id));
    if (!get_writable(page.frame())) return fail(Error::inval);
    outside_writer_begins(page.frame());
    static_cast<void>(page.release());
    return {};
}

void release_writable_page(Mfn m) {
    outside_writer_ends(frame_of(m));
    put_writable(frame_of(m));
    put_ref(frame_of(m));
}

}  // namespace domus::core
