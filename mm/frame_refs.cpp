// SPDX-License-Identifier: GPL-2.0-or-later
// The rare ends of references: first owner, last reference.
#include "mm/frame_refs.hpp"

#include "mm/heap.hpp"
#include "mm/page_type.hpp"
#include "mm/write_log.hpp"

namespace domus {

namespace {
constinit FrameRelease release_hook = nullptr;
}

void set_frame_release(FrameRelease hook) { release_hook = hook; }

void detail::last_ref_gone(Frame& f, u64 refs) {
    std::atomic_thread_fence(std::memory_order_acquire);
    ASSERT((refs & kRefOwned) == 0);
    // Whoever holds a type holds a reference: the type is at rest.
    ASSERT(TypeWord{f.type.load(std::memory_order_relaxed)}.at_rest());
    const Mfn m = mfn_of(f);
    const DomId owner = f.owner;
    if ((refs & kOutsideMask) != 0) f.refs.fetch_and(~kOutsideMask, std::memory_order_relaxed);
    // The heap flushes TLBs before anyone else gets the frame: nothing of the old type's staleness remains.
    f.type.store(0, std::memory_order_relaxed);
    const bool to_heap = release_hook == nullptr || release_hook(m, owner);
    if (to_heap && (refs & kRefBroken) == 0) free_guest_frames(m, 0);
}

namespace {

// All of it at once, as others see it: from then on the frame can be found by its number.
void assign(Mfn m, DomId owner, u64 references, TypeWord type) {
    Frame& f = frame_of(m);
    ASSERT((f.refs.load(std::memory_order_relaxed) & kRefCount) == 0);
    __atomic_store_n(&f.owner.v, owner.v, __ATOMIC_RELAXED);
    f.type.store(type.v, std::memory_order_relaxed);
    f.refs.store(kRefOwned | references, std::memory_order_release);
}

}  // namespace

void assign_frame(Mfn m, DomId owner) { assign(m, owner, 1, {}); }

void assign_read_only(Mfn m, DomId owner) {
    // Used once as nothing in particular: no other type can begin.
    assign(m, owner, 1, TypeWord::of(PageType::none, 0, 1));
}

void assign_written(Mfn m, DomId owner) {
    assign(m, owner, 2, TypeWord::of(PageType::writable, TypeWord::kValidated, 1));
}

bool disown_frame(Mfn m) {
    Frame& f = frame_of(m);
    if ((f.refs.fetch_and(~kRefOwned, std::memory_order_acq_rel) & kRefOwned) == 0) return false;
    put_ref(f);
    return true;
}

}  // namespace domus
