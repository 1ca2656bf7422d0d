// SPDX-License-Identifier: GPL-2.0-or-later
// Claims on memory (XENMEM_claim_pages, public memory.h): frames that are promised to a domain before it has
// them, so that its builder finds out at once, and not after minutes, that memory does not suffice. Only
// arithmetic: no frame is set aside, but nobody else gets the last ones.
#pragma once

#include "base/result.hpp"
#include "mm/heap.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

// Promises d what it lacks of `pages` in all; 0 takes its claim back. What d gets from now on counts against
// the claim. EINVAL: d has a claim, has these pages already, may not have as many, or is dying. ENOMEM.
Result<> claim_pages(Domain& d, u64 pages);
// Takes d's claim back: cancelled, or d goes away.
void drop_claim(Domain& d);

u64 outstanding_claims();          // pages promised and not given, of all domains
u64 outstanding_claim(Domain& d);  // … of this one

// alloc_frames() for memory that becomes d's, which fulfils its claim. ENOMEM also if what is left is
// promised to others.
Result<Mfn> alloc_claimed(Domain& d, unsigned order, AllocLimits limits);
// … for memory that replaces other memory of a domain's: its claim stays what it is.
Result<Mfn> alloc_unclaimed(unsigned order, AllocLimits limits);

}  // namespace domus::core
