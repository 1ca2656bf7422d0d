// SPDX-License-Identifier: GPL-2.0-or-later
// A domain's physical interrupts: which line of the machine a PIRQ number stands for, which event channel it
// raises, and when the guest has to end it (public physdev.h).
//
// A level-triggered line is in service from its firing until the guest's PHYSDEVOP_eoi; an edge-triggered one
// needs no end. A guest learns which is which from irq_status_query or from the EOI page it registered.
#pragma once

#include <atomic>

#include "core/growing_table.hpp"
#include "port/interrupt.hpp"
#include "port/lock.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

inline constexpr u32 kMaxPirqs = 8192;

struct PirqEntry {
    Domain* domain = nullptr;  // with the fields below: set while mapped
    Pirq number{};
    IrqId irq{};
    bool mapped = false, msi = false;
    std::atomic<u32> port{0};  // 0: not bound
    std::atomic<bool> in_service{false};
};

struct PirqTable {
    SpinLock lock{Rank::pirq};
    GrowingTable<PirqEntry, kMaxPirqs> entries;
    // PHYSDEVOP_pirq_eoi_gmfn: bit n set: PIRQ n has to be ended. Held as a writable page of the domain.
    Mfn eoi_page = kNoMfn;
    bool eoi_unmasks = false;  // version 1: PHYSDEVOP_eoi also unmasks the port
};

// PHYSDEVOP_map_pirq. `wanted`: the PIRQ to use, or negative for any; a line that is mapped already keeps its
// number. EPERM: not the domain's to use. EINVAL: no such GSI or PIRQ. EEXIST: the number stands for another
// line. ENOSPC: no number or no vector. The hypervisor's own lines map like others; binding one is EBUSY.
Result<Pirq> map_gsi(Domain& d, Gsi gsi, s32 wanted);
// `count` messages get consecutive numbers, the first of which is returned.
Result<Pirq> map_msi(Domain& d, const MsiRequest& request, u32 count, s32 wanted);
// PHYSDEVOP_unmap_pirq; a bound one is unbound. EINVAL: not mapped.
Result<> unmap_pirq(Domain& d, Pirq pirq);
void unmap_all_pirqs(Domain& d);
// PHYSDEVOP_get_free_pirq: a number that is not in use now. ENOSPC.
Result<Pirq> free_pirq(Domain& d, bool msi);

// PHYSDEVOP_eoi. EINVAL: no such PIRQ.
Result<> end_pirq(Domain& d, Pirq pirq);
// PHYSDEVOP_irq_status_query: XENIRQSTAT_*. EINVAL: no such PIRQ.
Result<u32> pirq_status(Domain& d, Pirq pirq);
// PHYSDEVOP_pirq_eoi_gmfn_v1 (unmasks) and _v2. EBUSY: there is one. EINVAL: not a writable page of d.
Result<> register_eoi_page(Domain& d, Mfn page, bool unmasks);
void forget_eoi_page(Domain& d);

// For core/evtchn.cpp. Binding leaves the line masked until start_pirq(). EINVAL: not mapped. EEXIST: bound.
// EBUSY: the line has another owner.
Result<> bind_pirq_line(Domain& d, Pirq pirq, EvtPort port);
void start_pirq(Domain& d, Pirq pirq, EvtPort port);
void unbind_pirq(Domain& d, Pirq pirq, EvtPort port);
// The port now notifies this vCPU: let the interrupt arrive where it runs.
void aim_pirq(Domain& d, Pirq pirq, VcpuId vcpu);

}  // namespace domus::core
