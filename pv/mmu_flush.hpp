// SPDX-License-Identifier: GPL-2.0-or-later
// TLB flushes that a guest asks for.
#pragma once

#include "port/guest_ptr.hpp"
#include "port/tlb.hpp"
#include "pv/address.hpp"
#include "pv/mmu.hpp"

namespace domus::pv {

// Which of the domain's CPUs. More than asked for is always right.
enum class Reach : u8 { none, local, domain };

// From a guest's bitmap of vCPUs, of as many bits as it can have vCPUs. EFAULT.
Result<Reach> reach_of(const Vcpu& v, GuestIn<u8> bitmap);

inline void flush_all(const Vcpu& v, Reach reach) {
    if (reach == Reach::local) {
        port::flush_local();
    } else if (reach == Reach::domain) {
        port::flush_domain(v.domain->id);
    }
}

// Addresses that no guest can map need no flush.
inline void flush_page(const Vcpu& v, Vaddr va, Reach reach) {
    if (!guest_address(va.v)) return;
    if (reach == Reach::local) {
        port::flush_local_page(va);
    } else if (reach == Reach::domain) {
        port::flush_domain_page(v.domain->id, va);
    }
}

}  // namespace domus::pv
