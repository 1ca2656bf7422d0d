// SPDX-License-Identifier: GPL-2.0-or-later
// A stack of free handles without locks, and its growth under one.
#include "core/maptrack.hpp"

#include <new>

namespace domus::core {

MapTrack::~MapTrack() {
    for (u32 i = 0; i < buckets_in_use_.load(std::memory_order_relaxed); i++)
        deallocate(buckets_[i], kPageSize, kPageSize);
}

// 0: none. A handle seen here may be popped by another before our exchange, and its link rewritten: then the
// exchange fails.
u32 MapTrack::pop() {
    u64 top = free_.load(std::memory_order_acquire);
    for (;;) {
        const u32 first = static_cast<u32>(top);
        if (first == 0) return 0;
        const u32 next = at(first - 1).ref.load(std::memory_order_relaxed);
        const u64 changed = ((top >> 32) + 1) << 32 | next;
        if (free_.compare_exchange_weak(top, changed, std::memory_order_acquire)) return first;
    }
}

// A chain that is linked already, but for its end.
void MapTrack::push(u32 first, u32 last) {
    u64 top = free_.load(std::memory_order_relaxed);
    u64 changed = 0;
    do {
        at(last).ref.store(static_cast<u32>(top), std::memory_order_relaxed);
        changed = ((top >> 32) + 1) << 32 | (first + 1);
    } while (!free_.compare_exchange_weak(top, changed, std::memory_order_release));
}

Result<u32> MapTrack::grow() {
    LockGuard guard(growth_);
    // Somebody else may have grown it, or given one back, meanwhile.
    if (const u32 free = pop(); free != 0) return free - 1;
    constexpr u32 kBucketsPerFrame = kHandlesPerFrame / kPerBucket;
    static_assert(kBucketsPerFrame * kPerBucket == kHandlesPerFrame);
    const u32 n = buckets_in_use_.load(std::memory_order_relaxed);
    if (n == max_frames_ * kBucketsPerFrame) return fail(Error::nospc);
    if (buckets_.size() == 0)
        buckets_ = TRY(make_array<GrantMapping*>(usize{max_frames_} * kBucketsPerFrame));
    auto* bucket = static_cast<GrantMapping*>(TRY(allocate(kPageSize, kPageSize)));
    const u32 first = n * kPerBucket;
    for (u32 i = 0; i < kPerBucket; i++) {
        new (&bucket[i]) GrantMapping();
        bucket[i].ref.store(first + i + 2, std::memory_order_relaxed);
    }
    buckets_[n] = bucket;
    buckets_in_use_.store(n + 1, std::memory_order_release);
    // The first is the caller's, the rest is for all.
    push(first + 1, first + kPerBucket - 1);
    return first;
}

Result<u32> MapTrack::take() {
    const u32 free = pop();
    const u32 handle = free != 0 ? free - 1 : TRY(grow());
    at(handle).state.store(GrantMapping::kBusy, std::memory_order_relaxed);
    return handle;
}

void MapTrack::give_back(u32 handle) {
    at(handle).state.store(0, std::memory_order_release);
    push(handle, handle);
}

}  // namespace domus::core
