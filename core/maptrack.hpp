// SPDX-License-Identifier: GPL-2.0-or-later
// The grants that a domain has mapped, by handle. Handles are taken and given back without locks; a handle
// belongs to whoever has moved its mapping to `busy`.
#pragma once

#include <atomic>

#include "base/result.hpp"
#include "base/types.hpp"
#include "mm/box.hpp"
#include "port/lock.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

struct GrantMapping {
    // Mapping::state: free (0), busy, or live with what it consists of.
    static constexpr u32 kBusy = 1u << 0;
    static constexpr u32 kHost = 1u << 1;      // an entry of the mapper's page tables holds the frame
    static constexpr u32 kDevice = 1u << 2;    // the handle itself holds the frame, for devices
    static constexpr u32 kWritable = 1u << 3;  // the grant is in use for writing
    static constexpr u32 kByPte = 1u << 4;     // host_addr is a page-table entry's machine address

    std::atomic<u32> state{0};
    std::atomic<u32> ref{0};    // the grant's; of a free handle the next free one + 1
    Domain* granter = nullptr;  // held (Domain::refs)
    u32 frame = 0;              // of machine memory
    u32 table = 0;              // the level 1 table with the mapping's entry
    u64 host_addr = 0;          // as the guest named the place
};
static_assert(sizeof(GrantMapping) == 32);

class MapTrack {
  public:
    // The limit is counted in the frames of the ABI's model implementation: 256 handles each.
    static constexpr u32 kHandlesPerFrame = 256;
    static constexpr u32 kMaxFrames = 1u << 20;

    MapTrack() = default;
    MapTrack(const MapTrack&) = delete;
    MapTrack& operator=(const MapTrack&) = delete;
    ~MapTrack();

    void set_limit(u32 frames) { max_frames_ = frames < kMaxFrames ? frames : kMaxFrames; }
    u32 max_frames() const { return max_frames_; }

    // A handle whose mapping is busy. ENOSPC: as many as the limit allows. ENOMEM.
    Result<u32> take();
    // The mapping is busy, and holds nothing any more.
    void give_back(u32 handle);

    // nullptr: no such handle has ever been given.
    GrantMapping* find(u32 handle) const {
        if (handle / kPerBucket >= buckets_in_use_.load(std::memory_order_acquire)) return nullptr;
        return &buckets_[handle / kPerBucket][handle % kPerBucket];
    }
    // … that take() has given.
    GrantMapping& at(u32 handle) const { return buckets_[handle / kPerBucket][handle % kPerBucket]; }
    // All handles that can exist now are below this.
    u32 end() const { return buckets_in_use_.load(std::memory_order_acquire) * kPerBucket; }

  private:
    static constexpr u32 kPerBucket = static_cast<u32>(kPageSize / sizeof(GrantMapping));

    u32 pop();
    void push(u32 first, u32 last);
    Result<u32> grow();

    // The top of the stack of free handles, + 1, and above it a count of changes: what was popped and pushed
    // again in between is not mistaken for unchanged.
    std::atomic<u64> free_{0};
    std::atomic<u32> buckets_in_use_{0};
    SpinLock growth_{Rank::grant_maptrack};
    u32 max_frames_ = 0;
    Array<GrantMapping*> buckets_;  // made with the first
};

}  // namespace domus::core
