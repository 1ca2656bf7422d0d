// SPDX-License-Identifier: GPL-2.0-or-later
// Adding and removing in a sorted array of ranges.
#include "core/rangeset.hpp"

namespace domus::core {

// The first range that ends at or after `value`.
u32 Ranges::lower_bound(u64 value) const {
    u32 low = 0, high = size_;
    while (low < high) {
        const u32 mid = low + (high - low) / 2;
        if (items_[mid].last < value)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

Result<> Ranges::reserve(u32 capacity) {
    if (capacity <= items_.size()) return {};
    auto bigger = TRY(make_array<Range>(capacity < 8 ? 8 : capacity * 2));
    for (u32 i = 0; i < size_; i++) bigger[i] = items_[i];
    items_ = std::move(bigger);
    return {};
}

void Ranges::erase(u32 at, u32 count) {
    for (u32 i = at; i + count < size_; i++) items_[i] = items_[i + count];
    size_ -= count;
}

void Ranges::insert(u32 at, Range r) {
    for (u32 i = size_; i > at; i--) items_[i] = items_[i - 1];
    items_[at] = r;
    size_++;
}

Result<> Ranges::add(u64 first, u64 last) {
    if (last < first) return fail(Error::inval);
    TRY(reserve(size_ + 1));
    // Swallow every range that overlaps or touches.
    const u32 at = lower_bound(first == 0 ? 0 : first - 1);
    u32 end = at;
    Range merged{first, last};
    while (end < size_ && (last == ~u64{0} || items_[end].first <= last + 1)) {
        if (items_[end].first < merged.first) merged.first = items_[end].first;
        if (items_[end].last > merged.last) merged.last = items_[end].last;
        end++;
    }
    erase(at, end - at);
    insert(at, merged);
    return {};
}

Result<> Ranges::remove(u64 first, u64 last) {
    if (last < first) return fail(Error::inval);
    TRY(reserve(size_ + 1));  // the middle of a range may go, which leaves two
    u32 at = lower_bound(first);
    while (at < size_ && items_[at].first <= last) {
        const Range old = items_[at];
        erase(at, 1);
        if (old.first < first) insert(at++, {old.first, first - 1});
        if (old.last > last) insert(at++, {last + 1, old.last});
    }
    return {};
}

bool Ranges::contains(u64 first, u64 last) const {
    const u32 at = lower_bound(first);
    return first <= last && at < size_ && items_[at].first <= first && last <= items_[at].last;
}

bool Ranges::overlaps(u64 first, u64 last) const {
    const u32 at = lower_bound(first);
    return first <= last && at < size_ && items_[at].first <= last;
}

}  // namespace domus::core
