// SPDX-License-Identifier: GPL-2.0-or-later
// Translation caches. A CPU drops every translation of a guest's address space when it loads another one, so
// only CPUs that run a vCPU of the domain right now can hold stale ones; the port knows which those are.
#pragma once

#include "base/types.hpp"

namespace domus::port {

// Monotonic count of TLB flush events, of which these are the lower 32 bits; a frame notes the value at which
// its last mapping may have gone stale. How values compare is in mm/tlb_stamp.hpp.
u32 tlb_clock();

// Flushes the domain's translations on every CPU that runs one of its vCPUs, this one included, and waits for
// them.
void flush_domain(DomId domain);
// Flushes guest translations on every CPU that has not flushed them since `stamp` (a tlb_clock() value;
// wrap-around is handled), whichever domain it runs, and waits for them. For memory that changes hands: a
// frame's last holder may be a foreign mapper.
void flush_since(u32 stamp);
// As flush_domain, for one page.
void flush_domain_page(DomId domain, Vaddr va);

// This CPU only.
void flush_local();
void flush_local_page(Vaddr va);

// Every CPU, everything, the hypervisor's global translations included.
void flush_everything();

}  // namespace domus::port
