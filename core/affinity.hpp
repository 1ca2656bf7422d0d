// SPDX-License-Identifier: GPL-2.0-or-later
// Where vCPUs may run (hard affinity) and had better run (soft affinity), and their shares of the CPUs.
#pragma once

#include <optional>
#include <span>

#include "base/result.hpp"
#include "base/types.hpp"
#include "sched/unit.hpp"

namespace domus {
struct Domain;
struct Vcpu;
namespace sched {
class Policy;
}
}  // namespace domus

namespace domus::core {

// Sets of CPUs of a vCPU: hard and soft, each twice so that the scheduler can go on with what it has while
// the other is being written; and the hard one that an override hides.
struct Affinity {
    Affinity() = default;
    Affinity(const Affinity&) = delete;
    Affinity& operator=(const Affinity&) = delete;
    ~Affinity();

    u64* words = nullptr;
    u32 side = 0;  // which of the two is in use
    bool overridden = false;
    static constexpr u32 kSets = 5;
    u64* hard(u32 which, u32 count) const { return words + which * count; }
    u64* soft(u32 which, u32 count) const { return words + (2 + which) * count; }
    u64* hidden(u32 count) const { return words + 4 * count; }
};

// For a new vCPU, before it is known to the scheduler. NOMEM.
Result<> create_affinity(Vcpu& v);

// Sets are of cpu_set_words() words. What was set, without regard to which CPUs the vCPU's pool has.
void get_affinity(Vcpu& v, std::span<u64> hard, std::span<u64> soft);
// Without a set that stays as it is. INVAL: `hard` has no CPU of the pool. BUSY: an override is in force
// (undo: it ends).
Result<> set_affinity(Vcpu& v, std::optional<std::span<const u64>> hard,
                      std::optional<std::span<const u64>> soft, bool undo_override = false);
// What of them is in force: within the pool, the soft one within the hard one.
void effective_affinity(Vcpu& v, std::span<u64> hard, std::span<u64> soft);

// SCHEDOP_pin_override: binds to one CPU for the time being; nullopt undoes it. INVAL: no CPU of its pool.
// BUSY: it is bound already. NOENT: it is not bound.
Result<> override_affinity(Vcpu& v, std::optional<CpuId> cpu);

// With the pools' lock held: the vCPU may run on some CPU of its pool other than `leaving`; if not, it may
// run on all from now on, which is logged.
void keep_runnable(Vcpu& v, std::optional<CpuId> leaving);

// ---- shares -----------------------------------------------------------------------------------------

// A domain's weight, and its cap in per cent of one CPU (0: none). INVAL: the policy has no shares, weight 0,
// or a cap of more than all its vCPUs.
struct DomainShare {
    u16 weight = 256;
    u16 cap = 0;
};
const sched::Policy& policy_of(const Domain& d);
Result<DomainShare> domain_share(Domain& d);
Result<> set_domain_share(Domain& d, DomainShare share);

Result<sched::Reservation> vcpu_reservation(Vcpu& v);
Result<> set_vcpu_reservation(Vcpu& v, sched::Reservation reservation);

}  // namespace domus::core
