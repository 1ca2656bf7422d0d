// SPDX-License-Identifier: GPL-2.0-or-later
// The book of promised memory: every allocation for a domain is entered before the heap is asked.
#include "core/claims.hpp"

#include <algorithm>

#include "core/domain.hpp"

namespace domus::core {

namespace {

struct Book {
    u64 promised = 0;  // sum of all domains' DomainPages::claimed
    u64 taking = 0;    // frames of allocations under way: not to be promised, whether or not the heap still
                       // counts them as free
};
constinit Guarded<Book, Rank::domain_memory> book;

// One allocation in the book: entered before the heap is asked, closed when it has answered.
class Entry {
  public:
    // `d`: whose claim it fulfils; null: nobody's.
    Entry(Domain* d, u64 count) : domain_(d), count_(count) {
        auto b = book.lock();
        from_claim_ = d == nullptr ? 0 : std::min(d->pages.claimed, count);
        const u64 beyond = count - from_claim_;
        // Without claims the heap alone decides, and frames just coming back are not missed.
        if (beyond != 0 && b->promised != 0) {
            const u64 free = heap_free_frames(), spoken_for = b->promised + b->taking;
            if (free < spoken_for || free - spoken_for < beyond) return;
        }
        if (from_claim_ != 0) {
            d->pages.claimed -= from_claim_;
            claim_number_ = d->pages.claim_number;
            b->promised -= from_claim_;
        }
        b->taking += count;
        allowed_ = true;
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() {
        if (!allowed_) return;
        auto b = book.lock();
        b->taking -= count_;
        // Not given: the promise stands, unless it has been taken back meanwhile.
        if (given_ || from_claim_ == 0 || domain_->pages.claim_number != claim_number_) return;
        domain_->pages.claimed += from_claim_;
        b->promised += from_claim_;
    }

    bool allowed() const { return allowed_; }
    void given() { given_ = true; }

  private:
    Domain* domain_;
    u64 count_, from_claim_ = 0, claim_number_ = 0;
    bool allowed_ = false, given_ = false;
};

Result<Mfn> allocate(Domain* d, unsigned order, AllocLimits limits) {
    if (order > kMaxOrder) return fail(Error::nomem);
    Entry entry(d, u64{1} << order);
    if (!entry.allowed()) return fail(Error::nomem);
    const Result<Mfn> m = alloc_frames(order, limits);
    if (m) entry.given();
    return m;
}

}  // namespace

Result<> claim_pages(Domain& d, u64 pages) {
    if (pages == 0) {
        drop_claim(d);
        return {};
    }
    auto b = book.lock();
    LockGuard guard(d.pages.lock);
    DomainPages& p = d.pages;
    if (d.dying.load() != Dying::no) return fail(Error::inval);
    if (p.claimed != 0 || pages <= p.total || pages > p.max) return fail(Error::inval);
    const u64 wanted = pages - p.total, free = heap_free_frames(), spoken_for = b->promised + b->taking;
    if (free < spoken_for || free - spoken_for < wanted) return fail(Error::nomem);
    p.claimed = wanted;
    p.claim_number++;
    b->promised += wanted;
    return {};
}

void drop_claim(Domain& d) {
    auto b = book.lock();
    b->promised -= d.pages.claimed;
    d.pages.claimed = 0;
    d.pages.claim_number++;
}

u64 outstanding_claims() { return book.lock()->promised; }

u64 outstanding_claim(Domain& d) {
    auto b = book.lock();
    return d.pages.claimed;
}

Result<Mfn> alloc_claimed(Domain& d, unsigned order, AllocLimits limits) {
    return allocate(&d, order, limits);
}
Result<Mfn> alloc_unclaimed(unsigned order, AllocLimits limits) { return allocate(nullptr, order, limits); }

}  // namespace domus::core
