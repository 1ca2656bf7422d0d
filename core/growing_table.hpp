// SPDX-License-Identifier: GPL-2.0-or-later
// A table indexed by a guest's number that grows in page-sized buckets as numbers come into use, and is read
// without locks: an element, once there, stays where it is until the table goes.
#pragma once

#include <atomic>
#include <new>

#include "base/result.hpp"
#include "base/types.hpp"
#include "mm/box.hpp"

namespace domus::core {

// Indices in [0, Limit). T is default-constructible; its destructor does nothing of note.
template <class T, u32 Limit>
class GrowingTable {
  public:
    static constexpr u32 kBucket = static_cast<u32>(kPageSize / sizeof(T));
    static constexpr u32 kBuckets = (Limit + kBucket - 1) / kBucket;
    static constexpr u32 kBucketsPerDirectory = 64;
    static constexpr u32 kDirectories = (kBuckets + kBucketsPerDirectory - 1) / kBucketsPerDirectory;

    GrowingTable() = default;
    GrowingTable(const GrowingTable&) = delete;
    GrowingTable& operator=(const GrowingTable&) = delete;
    ~GrowingTable() {
        for (auto& d : directories_) {
            Directory* directory = d.load(std::memory_order_relaxed);
            if (directory == nullptr) continue;
            for (auto& b : directory->buckets)
                if (T* items = b.load(std::memory_order_relaxed))
                    deallocate(items, sizeof(T) * kBucket, kAlign);
            Box<Directory>::adopt(directory).reset();
        }
    }

    // The element, or nullptr if its bucket is not there (or the index out of range). Any context.
    T* find(u32 index) const {
        if (index >= Limit) return nullptr;
        const u32 bucket = index / kBucket;
        Directory* directory = directories_[bucket / kBucketsPerDirectory].load(std::memory_order_acquire);
        if (directory == nullptr) return nullptr;
        T* items = directory->buckets[bucket % kBucketsPerDirectory].load(std::memory_order_acquire);
        return items == nullptr ? nullptr : &items[index % kBucket];
    }

    // The element, its bucket made if need be. The caller's lock serialises growth. ENOMEM; EINVAL: out of
    // range.
    Result<T*> require(u32 index) {
        if (T* item = find(index)) return item;
        if (index >= Limit) return fail(Error::inval);
        const u32 bucket = index / kBucket;
        auto& slot = directories_[bucket / kBucketsPerDirectory];
        Directory* directory = slot.load(std::memory_order_relaxed);
        if (directory == nullptr) {
            directory = TRY(make<Directory>()).release();
            slot.store(directory, std::memory_order_release);
        }
        T* items = static_cast<T*>(TRY(allocate(sizeof(T) * kBucket, kAlign)));
        for (u32 i = 0; i < kBucket; i++) new (&items[i]) T();
        directory->buckets[bucket % kBucketsPerDirectory].store(items, std::memory_order_release);
        return &items[index % kBucket];
    }

    // The first index at or after `index` whose bucket exists, or Limit: to walk a sparse table.
    u32 next_present(u32 index) const {
        while (index < Limit) {
            const u32 bucket = index / kBucket;
            if (directories_[bucket / kBucketsPerDirectory].load(std::memory_order_acquire) == nullptr)
                index = (bucket / kBucketsPerDirectory + 1) * kBucketsPerDirectory * kBucket;
            else if (find(index) == nullptr)
                index = (bucket + 1) * kBucket;
            else
                return index;
        }
        return Limit;
    }

  private:
    static constexpr usize kAlign = alignof(T) > 16 ? alignof(T) : 16;
    struct Directory {
        std::atomic<T*> buckets[kBucketsPerDirectory] = {};
    };
    std::atomic<Directory*> directories_[kDirectories] = {};
};

}  // namespace domus::core
