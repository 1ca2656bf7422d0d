// SPDX-License-Identifier: GPL-2.0-or-later
// The hash table and the sorted chain of domains: changed under a lock, read without one.
#include "core/domain_list.hpp"

#include "core/domain.hpp"
#include "core/domain_free.hpp"

namespace domus::core {

namespace {

constexpr u32 kBuckets = 256;
constinit std::atomic<Domain*> hash[kBuckets] = {};
constinit std::atomic<Domain*> by_id{nullptr};
constinit std::atomic<Domain*> hardware{nullptr};
constinit SpinLock list_lock{Rank::domain_list};

std::atomic<Domain*>& bucket(DomId id) { return hash[id.v % kBuckets]; }

void link_out(std::atomic<Domain*>& head, std::atomic<Domain*> Domain::* next, Domain& d) {
    std::atomic<Domain*>* at = &head;
    while (at->load(std::memory_order_relaxed) != &d) at = &(at->load(std::memory_order_relaxed)->*next);
    at->store((d.*next).load(std::memory_order_relaxed), std::memory_order_release);
}

void free_now(void* d) { free_domain(static_cast<Domain*>(d)); }

void take_out(void* arg) {
    Domain& d = *static_cast<Domain*>(arg);
    {
        LockGuard guard(list_lock);
        link_out(bucket(d.id), &Domain::next_in_hash, d);
        link_out(by_id, &Domain::next_by_id, d);
        if (hardware.load(std::memory_order_relaxed) == &d) hardware.store(nullptr);
    }
    defer(d.deferred, free_now, &d);
}

}  // namespace

Domain* find_domain(DomId id) {
    Domain* d = bucket(id).load(std::memory_order_acquire);
    while (d != nullptr && d->id != id) d = d->next_in_hash.load(std::memory_order_acquire);
    return d;
}

Domain* next_domain(DomId at_least) {
    Domain* d = by_id.load(std::memory_order_acquire);
    while (d != nullptr && d->id < at_least) d = d->next_by_id.load(std::memory_order_acquire);
    return d;
}

Domain* hardware_domain() { return hardware.load(std::memory_order_acquire); }

Result<> insert_domain(Domain& d) {
    LockGuard guard(list_lock);
    if (find_domain(d.id) != nullptr) return fail(Error::exist);
    d.next_in_hash.store(bucket(d.id).load(std::memory_order_relaxed), std::memory_order_relaxed);
    bucket(d.id).store(&d, std::memory_order_release);
    std::atomic<Domain*>* at = &by_id;
    while (at->load(std::memory_order_relaxed) != nullptr && at->load(std::memory_order_relaxed)->id < d.id)
        at = &at->load(std::memory_order_relaxed)->next_by_id;
    d.next_by_id.store(at->load(std::memory_order_relaxed), std::memory_order_relaxed);
    at->store(&d, std::memory_order_release);
    if (d.hardware) hardware.store(&d, std::memory_order_release);
    return {};
}

void put_domain(Domain& d) {
    // The last reference may go under any lock (a page of a dead domain is unmapped): do the rest where none
    // is held.
    if (d.refs.fetch_sub(1, std::memory_order_acq_rel) == 1) defer(d.deferred, take_out, &d);
}

DomainRef DomainRef::get(Domain& d) {
    DomainRef r;
    u32 n = d.refs.load(std::memory_order_relaxed);
    while (n != 0)
        if (d.refs.compare_exchange_weak(n, n + 1, std::memory_order_acq_rel)) {
            r.domain_ = &d;
            break;
        }
    return r;
}

DomainRef& DomainRef::operator=(DomainRef&& o) noexcept {
    if (this != &o) {
        reset();
        domain_ = o.domain_;
        o.domain_ = nullptr;
    }
    return *this;
}

void DomainRef::reset() {
    if (domain_ == nullptr) return;
    put_domain(*domain_);
    domain_ = nullptr;
}

}  // namespace domus::core
