// SPDX-License-Identifier: GPL-2.0-or-later
// Finding domains by id, without locks: a hash chain for lookup and a chain in rising ids for walks. What is
// found stays valid until this CPU's next quiescent state (core/quiesce.hpp), that is for the whole
// hypercall, unless it waits at a preemption point; who needs a domain for longer holds a DomainRef.
#pragma once

#include <utility>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

Domain* find_domain(DomId id);        // nullptr if there is none
Domain* next_domain(DomId at_least);  // the one with the lowest id not below this, nullptr at the end
Domain* hardware_domain();            // nullptr before it is made

// EEXIST.
Result<> insert_domain(Domain& d);
// The last reference is gone: takes it out and frees it after a grace period. See DomainRef.
void put_domain(Domain& d);

// Holds a domain's structure in memory (not alive: it may be dying).
class [[nodiscard]] DomainRef {
  public:
    DomainRef() = default;
    // `d` was found in this hypercall. Empty if it is just going away.
    static DomainRef get(Domain& d);
    DomainRef(DomainRef&& o) noexcept : domain_(o.domain_) { o.domain_ = nullptr; }
    DomainRef& operator=(DomainRef&& o) noexcept;
    ~DomainRef() { reset(); }

    void reset();
    // The caller takes over the reference, for put_domain().
    Domain* release() { return std::exchange(domain_, nullptr); }
    Domain* operator->() const { return domain_; }
    Domain& operator*() const { return *domain_; }
    explicit operator bool() const { return domain_ != nullptr; }

  private:
    Domain* domain_ = nullptr;
};

}  // namespace domus::core
