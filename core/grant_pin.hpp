// SPDX-License-Identifier: GPL-2.0-or-later
// Uses of entries in grant tables that guests write to meanwhile. The states are core/grant_entry.hpp's.
#pragma once

#include <atomic>

#include "core/grant_entry.hpp"
#include "core/grant_table.hpp"
#include "port/cpu.hpp"
#include "port/memory.hpp"

namespace domus::core {

// Holds an entry's lock, for a few instructions: nothing is waited for, and no guest memory touched that
// could fault. What the guest shares is reached through the direct map.
class [[nodiscard]] EntryLock {
  public:
    // `version` stays the table's until the lock goes.
    EntryLock(const GrantTable& table, std::atomic<u32>& word) : EntryLock(word) {
        for (;;) {
            version = table.version.load(std::memory_order_seq_cst);
            if ((version & GrantTable::kChanging) == 0) [[likely]]
                return;
            word.store(pins.v, std::memory_order_release);
            port::relax();
            take();
        }
    }
    // … of a second entry of the table: `version` is not looked at, it is the first one's.
    explicit EntryLock(std::atomic<u32>& word) : word_(&word) { take(); }
    EntryLock(const EntryLock&) = delete;
    EntryLock& operator=(const EntryLock&) = delete;
    ~EntryLock() { word_->store(pins.v, std::memory_order_release); }

    GrantPins pins;  // what the entry has when the lock goes
    u32 version = 0;

  private:
    void take() {
        u32 v = word_->load(std::memory_order_relaxed);
        for (;;) {
            if ((v & GrantPins::kLocked) != 0) [[unlikely]] {
                port::relax();
                v = word_->load(std::memory_order_relaxed);
            } else if (word_->compare_exchange_weak(v, v | GrantPins::kLocked, std::memory_order_seq_cst)) {
                break;
            }
        }
        pins.v = v;
    }

    std::atomic<u32>* word_;
};

// The shared parts of an entry below the table's end, in whatever form. The entry's lock is held.
inline u8* entry_v1(const GrantTable& g, u32 ref) {
    constexpr u32 n = GrantTable::kEntriesV1;
    return port::frame_ptr<u8>(g.shared[ref / n]) + ref % n * sizeof(grant_entry_v1_t);
}
inline u8* entry_v2(const GrantTable& g, u32 ref) {
    constexpr u32 n = GrantTable::kEntriesV2;
    return port::frame_ptr<u8>(g.shared[ref / n]) + ref % n * sizeof(grant_entry_v2_t);
}
inline u16* status_word(const GrantTable& g, u32 ref) {
    constexpr u32 n = GrantTable::kStatusPerFrame;
    return port::frame_ptr<u16>(g.status[ref / n]) + ref % n;
}
template <class T>
T load_shared(const void* p) {
    return __atomic_load_n(static_cast<const T*>(p), __ATOMIC_RELAXED);
}

// What a pinned entry grants.
struct GrantedPart {
    GrantKind kind = GrantKind::page;
    u64 frame = 0;                       // page, sub_page: the granter's number for it
    u16 offset = 0, length = kPageSize;  // of the part that may be copied
    u16 next_domain = 0;                 // transitive: the grant that is meant
    u32 next_ref = 0;
};

// Pins an entry for `grantee` and sets its flags. bad_domain: the granter is at its end. bad_gntref: beyond
// the table. general_error: nothing of that kind is granted, or the guest is just changing the entry.
// no_space. On success the entry stays marked in use until unpin_grant.
GrantResult<GrantedPart> pin_grant(GrantTable& g, u32 ref, DomId grantee, GrantUse use);
void unpin_grant(GrantTable& g, u32 ref, bool write);

// GNTTABOP_swap_grant_ref. bad_gntref; eagain: one is in use.
GrantResult<> swap_grants(GrantTable& g, u32 a, u32 b);

}  // namespace domus::core
