// SPDX-License-Identifier: GPL-2.0-or-later
// A set of numbers as sorted, disjoint, non-adjacent ranges: which I/O ports, device frames and interrupts a
// domain may use.
#pragma once

#include <span>

#include "base/result.hpp"
#include "base/types.hpp"
#include "mm/box.hpp"
#include "port/lock.hpp"

namespace domus::core {

struct Range {
    u64 first, last;  // both included
    constexpr bool operator==(const Range&) const = default;
};

// Without locking: see RangeSet.
class Ranges {
  public:
    // ENOMEM: the set is as it was. EINVAL: last < first.
    Result<> add(u64 first, u64 last);
    Result<> remove(u64 first, u64 last);

    bool contains(u64 first, u64 last) const;  // all of them
    bool overlaps(u64 first, u64 last) const;  // any of them
    std::span<const Range> all() const { return {items_.data(), size_}; }

  private:
    u32 lower_bound(u64 value) const;
    Result<> reserve(u32 capacity);
    void erase(u32 at, u32 count);
    void insert(u32 at, Range r);

    Array<Range> items_;  // capacity
    u32 size_ = 0;
};

class RangeSet {
  public:
    Result<> add(u64 first, u64 last) { return ranges_.lock()->add(first, last); }
    Result<> remove(u64 first, u64 last) { return ranges_.lock()->remove(first, last); }
    bool contains(u64 first, u64 last) { return ranges_.lock()->contains(first, last); }
    bool contains(u64 value) { return contains(value, value); }
    bool overlaps(u64 first, u64 last) { return ranges_.lock()->overlaps(first, last); }
    Guarded<Ranges, Rank::ranges>& guarded() { return ranges_; }

  private:
    Guarded<Ranges, Rank::ranges> ranges_;
};

}  // namespace domus::core
