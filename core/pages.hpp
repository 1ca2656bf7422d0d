// SPDX-License-Identifier: GPL-2.0-or-later
// The memory a domain owns: a list of its pages, counted against its limit; and the hypervisor's own pages
// that it shares with the domain, which count nowhere.
#pragma once

#include "base/result.hpp"
#include "mm/frame.hpp"
#include "mm/heap.hpp"
#include "port/lock.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

struct DomainPages {
    SpinLock lock{Rank::page_list};
    u32 first = kNoFrameLink, last = kNoFrameLink;  // of the list through Frame::next and prev
    u64 total = 0;                                  // pages it owns
    u64 max = 0;                                    // … may own
    u64 peak = 0;
    // Promised and not yet given, and the number of its latest claim; under the book of core/claims.cpp.
    u64 claimed = 0, claim_number = 0;
};

// Installs the accounting of frames whose last reference goes. Called by init().
void init_pages();

// A 32-bit guest gets no frame that its machine-to-physical table does not tell of (abi/xen32.hpp).
AllocLimits limits_for(const Domain& d, AllocLimits limits);

// 2^order frames, zeroed or not as `limits` say, as pages of d. ENOMEM: no memory, or beyond its limit.
// EINVAL: d is dying.
Result<Mfn> allocate_pages(Domain& d, unsigned order, AllocLimits limits = {});
// Frames that alloc_frames() gave become pages of d. Errors as above; the frames are still the caller's then.
Result<> add_pages(Domain& d, Mfn first, u64 count);
// Gives up d's hold of its page; it is free once nobody else refers to it. EINVAL: not d's, or given up
// before.
Result<> release_page(Domain& d, Mfn m);

// Exchanging pages without touching the domain's count. take_page() takes a page that nobody uses away from
// d: it has no owner and is in no list, the caller holds its only reference, and it still counts as d's.
// EINVAL: not d's. EBUSY: mapped, of a type in use, or held by somebody.
Result<> take_page(Domain& d, Mfn m);
// Undoes that; a dying domain's page becomes free instead.
void put_back_page(Domain& d, Mfn m);
// As add_pages, in place of as many taken pages, which the caller then frees. EINVAL: d is dying; nothing is
// done.
Result<> add_in_stead(Domain& d, Mfn first, u64 count);
void free_taken_page(Mfn m);
// Takes a page from d that d alone refers to: not mapped, not a table, not shared. It has no owner then, and
// is the caller's; CPUs may still have translations of it. EINVAL: it is not such a page.
Result<> detach_page(Domain& d, Mfn m);

// Gives up everything. ERESTART: preempted, call again. Only for a dying domain.
Result<> release_all_pages(Domain& d);

// A zeroed page of ours that d may map; it keeps d until all have let go of it. ENOMEM. EINVAL: d is dying.
Result<Mfn> allocate_shared_page(Domain& d);
void free_shared_page(Mfn m);

// Holds a page of d's as writable memory, so that the hypervisor may write it through the direct map. EINVAL:
// not d's page, or in use as something that must not be written.
Result<> hold_writable_page(Domain& d, Mfn m);
void release_writable_page(Mfn m);

// Calls f(Mfn) for each page in the list; f must not change it.
template <class F>
void for_each_page(DomainPages& p, F&& f) {
    LockGuard guard(p.lock);
    for (u32 at = p.first; at != kNoFrameLink; at = frame_of(Mfn(at)).next) f(Mfn(at));
}

}  // namespace domus::core
