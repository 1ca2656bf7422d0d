// SPDX-License-Identifier: GPL-2.0-or-later
// General references: they keep a frame with its owner. A frame in use has a count of at least one; the
// owner's own hold counts one and is marked. The last reference to go gives the frame back.
#pragma once

#include <utility>

#include "base/assert.hpp"
#include "base/result.hpp"
#include "mm/frame.hpp"

namespace domus {

// Frame::refs. The count cannot overflow: references live in words of memory, of which 2^48 do not fit.
inline constexpr u64 kRefCount = (u64{1} << 48) - 1;
inline constexpr u64 kRefOwned = u64{1} << 63;   // the owner holds the frame: one of the count
inline constexpr u64 kRefBroken = u64{1} << 62;  // bad memory: never given out again
// Bits 48 to 59: how many of them are outside writers (mm/write_log.hpp). Bits 60 and 61 mean nothing
// yet.

namespace detail {
[[gnu::cold]] void last_ref_gone(Frame& f, u64 refs);

// The owner is written before the first reference exists and read under one, or as a hint that is checked
// again.
inline DomId owner_hint(const Frame& f) { return DomId(__atomic_load_n(&f.owner.v, __ATOMIC_RELAXED)); }
}  // namespace detail

inline void put_ref(Frame& f) {
    const u64 before = f.refs.fetch_sub(1, std::memory_order_release);
    ASSERT((before & kRefCount) != 0);
    if ((before & kRefCount) == 1) [[unlikely]]
        detail::last_ref_gone(f, before - 1);
}

// Takes a reference if `owner` has the frame. `f` is valid (frame_valid).
inline bool get_ref(Frame& f, DomId owner) {
    if (detail::owner_hint(f) != owner) [[unlikely]]
        return false;
    u64 refs = f.refs.load(std::memory_order_relaxed);
    do {
        if ((refs & kRefCount) == 0) [[unlikely]]
            return false;
    } while (!f.refs.compare_exchange_weak(refs, refs + 1, std::memory_order_acquire));
    // Under a reference the owner is fixed; between the hint and the reference the frame may have moved on.
    if (f.owner != owner) [[unlikely]] {
        put_ref(f);
        return false;
    }
    return true;
}

// Takes one more for a holder of one.
inline void get_ref_more(Frame& f) { f.refs.fetch_add(1, std::memory_order_relaxed); }

// Makes `owner` the owner of an unused frame, with one reference, the owner's.
void assign_frame(Mfn m, DomId owner);
// … with a reference and a use as writable memory that are the hypervisor's, which writes there as well:
// given up by put_writable() and put_ref().
void assign_written(Mfn m, DomId owner);
// … for ever, and not to be written or given any other type: hypervisor memory that guests may map read-only.
void assign_read_only(Mfn m, DomId owner);
// Gives up the owner's hold: false if it is given up already. Others' references keep the frame alive.
bool disown_frame(Mfn m);

// What happens with a frame whose last reference is gone: the owner's accounting. Called with no lock of this
// room held; returns true if the frame goes to the heap. Default: it does.
using FrameRelease = bool (*)(Mfn m, DomId owner);
void set_frame_release(FrameRelease hook);

class [[nodiscard]] PageRef {
  public:
    constexpr PageRef() = default;
    PageRef(PageRef&& o) noexcept : frame_(std::exchange(o.frame_, nullptr)) {}
    PageRef& operator=(PageRef&& o) noexcept {
        if (this != &o) {
            reset();
            frame_ = std::exchange(o.frame_, nullptr);
        }
        return *this;
    }
    ~PageRef() { reset(); }

    static PageRef adopt(Frame& f) {
        PageRef r;
        r.frame_ = &f;
        return r;
    }
    // The caller takes over the reference.
    Frame& release() { return *std::exchange(frame_, nullptr); }
    void reset() {
        if (frame_ != nullptr) put_ref(*std::exchange(frame_, nullptr));
    }

    explicit operator bool() const { return frame_ != nullptr; }
    Frame& frame() const { return *frame_; }
    Mfn mfn() const { return mfn_of(*frame_); }

  private:
    Frame* frame_ = nullptr;
};

// A reference to a frame of the owner's. EINVAL: no such frame, not the owner's, or on its way out.
inline Result<PageRef> get_page(Mfn m, DomId owner) {
    if (!frame_valid(m) || !get_ref(frame_of(m), owner)) return fail(Error::inval);
    return PageRef::adopt(frame_of(m));
}

}  // namespace domus
