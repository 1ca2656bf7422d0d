// SPDX-License-Identifier: GPL-2.0-or-later
// A bit for each page of a domain, by the domain's own numbers of them, set by any CPU without a lock.
#pragma once

#include "base/result.hpp"
#include "mm/box.hpp"

namespace domus::core {

class DirtyBits {
  public:
    static constexpr u64 kPagesPerChunk = kPageSize * 8;

    DirtyBits() = default;
    DirtyBits(const DirtyBits&) = delete;
    DirtyBits& operator=(const DirtyBits&) = delete;
    ~DirtyBits() { reset(); }

    // Room for at least `pages`, all clear. RESTART: call again, progress is kept. ENOMEM: nothing is kept.
    Result<> grow(u64 pages);
    void reset();

    // Pages from here on have no bit.
    u64 limit() const { return made_ * kPagesPerChunk; }

    // True if it was clear. A page beyond the limit: false.
    bool set(u64 page) {
        if (page >= limit()) [[unlikely]]
            return false;
        const u64 bit = u64{1} << (page % 64);
        u64& word = word_of(page);
        if ((__atomic_load_n(&word, __ATOMIC_RELAXED) & bit) != 0) return false;
        return (__atomic_fetch_or(&word, bit, __ATOMIC_SEQ_CST) & bit) == 0;
    }
    void clear(u64 page) {
        if (page < limit()) __atomic_fetch_and(&word_of(page), ~(u64{1} << (page % 64)), __ATOMIC_SEQ_CST);
    }
    bool test(u64 page) const {
        return page < limit() && (__atomic_load_n(&word_of(page), __ATOMIC_RELAXED) >> (page % 64) & 1) != 0;
    }
    // The bits of pages [64 * index, 64 * index + 64).
    u64 word(u64 index) const {
        return index * 64 < limit() ? __atomic_load_n(&word_of(index * 64), __ATOMIC_RELAXED) : 0;
    }
    void set_word(u64 index, u64 bits) {
        if (index * 64 < limit()) __atomic_fetch_or(&word_of(index * 64), bits, __ATOMIC_SEQ_CST);
    }
    void clear_word(u64 index, u64 bits) {
        if (index * 64 < limit()) __atomic_fetch_and(&word_of(index * 64), ~bits, __ATOMIC_SEQ_CST);
    }

  private:
    u64& word_of(u64 page) const { return chunks_[page / kPagesPerChunk][page % kPagesPerChunk / 64]; }

    Array<u64*> chunks_;  // a frame each
    u64 made_ = 0;        // … of which so many exist
};

}  // namespace domus::core
