// SPDX-License-Identifier: GPL-2.0-or-later
// Size-class allocator. A slab is one frame; its state (free list, number of objects in use, class) is in the
// frame's metadata, so objects of power-of-two sizes are aligned to their size and no page has a header.
#include "mm/objects.hpp"

#include <bit>
#include <cstring>

#include "base/assert.hpp"
#include "mm/heap.hpp"
#include "port/lock.hpp"
#include "port/memory.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

namespace domus {

namespace {

constexpr std::array<u16, 17> kClassSize = {16,  32,  48,  64,  80,  96,   128,  160, 192,
                                            256, 320, 384, 512, 672, 1024, 1360, 2048};
constexpr usize kLargest = kClassSize.back();
constexpr u32 kNone = 0xffff;
constexpr u32 kEndOfList = ~u32{0};

// Row s: the smallest class that holds 16*s bytes.
constexpr auto kClassOf = [] {
    std::array<u8, kLargest / 16 + 1> table{};
    u8 c = 0;
    for (usize s = 0; s < table.size(); s++) {
        while (kClassSize[c] < s * 16) c++;
        table[s] = c;
    }
    return table;
}();

// Frame::type of a slab.
struct SlabState {
    u16 free_head;  // index of the first free object, or kNone
    u16 in_use;
    u16 never_used;  // objects from this index on have never been handed out
    u16 size_class;
};
static_assert(sizeof(SlabState) == sizeof(u64));

SlabState state_of(const Frame& f) {
    return std::bit_cast<SlabState>(f.type.load(std::memory_order_relaxed));
}
void set_state(Frame& f, SlabState s) { f.type.store(std::bit_cast<u64>(s), std::memory_order_relaxed); }

struct Slabs {
    std::array<u32, kClassSize.size()> partial{};  // slabs with a free object: frame + 1, 0 if none
    u64 bytes = 0;
};
constinit Guarded<Slabs, Rank::objects> slabs;

void link(Slabs& s, unsigned c, u32 m) {
    Frame& f = frame_of(Mfn(m));
    f.prev = kEndOfList;
    f.next = s.partial[c] == 0 ? kEndOfList : s.partial[c] - 1;
    if (f.next != kEndOfList) frame_of(Mfn(f.next)).prev = m;
    s.partial[c] = m + 1;
}

void unlink(Slabs& s, unsigned c, u32 m) {
    const Frame& f = frame_of(Mfn(m));
    if (f.next != kEndOfList) frame_of(Mfn(f.next)).prev = f.prev;
    if (f.prev != kEndOfList) {
        frame_of(Mfn(f.prev)).next = f.next;
    } else {
        s.partial[c] = f.next == kEndOfList ? 0 : f.next + 1;
    }
}

#ifdef DOMUS_ASSERTIONS
constexpr u8 kFreshPoison = 0xa5, kFreePoison = 0x5e;
void poison_free(u8* p, usize size) { std::memset(p, kFreePoison, size); }
void check_and_refill(u8* p, usize size) {
    for (usize i = sizeof(u16); i < size; i++)
        if (p[i] != kFreePoison) panic("use after free: byte {} of a {} byte object is {:#x}", i, size, p[i]);
}
void poison_fresh(void* p, usize size) { std::memset(p, kFreshPoison, size); }
#else
void poison_free(u8*, usize) {}
void check_and_refill(const u8*, usize) {}
void poison_fresh(void*, usize) {}
#endif

unsigned class_for(usize size, usize align) {
    if (align > 16) size = std::bit_ceil(size > align ? size : align);
    return kClassOf[(size + 15) / 16];
}
bool is_large(usize size, usize align) {
    return size > kLargest || align > kLargest || (align > 16 && std::bit_ceil(size) > kLargest);
}
unsigned order_for(usize size) {
    return static_cast<unsigned>(std::bit_width((size + kPageSize - 1) / kPageSize - 1));
}

Result<void*> allocate_small(unsigned c, usize size) {
    const usize step = kClassSize[c];
    auto s = slabs.lock();
    if (s->partial[c] == 0) {
        const Mfn fresh = TRY(alloc_frames(0));
        set_state(frame_of(fresh),
                  {.free_head = kNone, .in_use = 0, .never_used = 0, .size_class = static_cast<u16>(c)});
        ASAN_POISON_MEMORY_REGION(port::frame_ptr(fresh), kPageSize);
        link(*s, c, static_cast<u32>(fresh.v));
    }
    const u32 m = s->partial[c] - 1;
    Frame& f = frame_of(Mfn(m));
    SlabState st = state_of(f);
    u8* const page = port::frame_ptr(Mfn(m));
    u8* p;
    if (st.free_head != kNone) {
        p = page + st.free_head * step;
        ASAN_UNPOISON_MEMORY_REGION(p, step);
        std::memcpy(&st.free_head, p, sizeof st.free_head);
        check_and_refill(p, step);
    } else {
        p = page + st.never_used++ * step;
        ASAN_UNPOISON_MEMORY_REGION(p, size);
    }
    st.in_use++;
    set_state(f, st);
    if (st.free_head == kNone && (st.never_used + 1u) * step > kPageSize) unlink(*s, c, m);
    s->bytes += size;
    poison_fresh(p, size);
    ASAN_POISON_MEMORY_REGION(p, step);
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    return p;
}

void deallocate_small(void* object, unsigned c, usize size) {
    const usize step = kClassSize[c];
    auto s = slabs.lock();
    const Maddr a = port::direct_map_address(object);
    const Mfn m = mfn(a);
    Frame& f = frame_of(m);
    SlabState st = state_of(f);
    ASSERT(st.size_class == c && st.in_use > 0 && page_offset(a) % step == 0);
    const bool was_full = st.free_head == kNone && (st.never_used + 1u) * step > kPageSize;
    s->bytes -= size;
    if (--st.in_use == 0) {
        if (!was_full) unlink(*s, c, static_cast<u32>(m.v));
        set_state(f, {});
        ASAN_UNPOISON_MEMORY_REGION(port::frame_ptr(m), kPageSize);
        free_frames(m, 0);
        return;
    }
    auto* const p = static_cast<u8*>(object);
    ASAN_UNPOISON_MEMORY_REGION(p, step);
    poison_free(p, step);
    std::memcpy(p, &st.free_head, sizeof st.free_head);
    ASAN_POISON_MEMORY_REGION(p, step);
    st.free_head = static_cast<u16>(page_offset(a) / step);
    set_state(f, st);
    if (was_full) link(*s, c, static_cast<u32>(m.v));
}

}  // namespace

Result<void*> allocate(usize size, usize align) {
    ASSERT(size > 0 && std::has_single_bit(align) && align <= kPageSize);
    if (!is_large(size, align)) return allocate_small(class_for(size, align), size);
    const Mfn m = TRY(alloc_frames(order_for(size)));
    slabs.lock()->bytes += size;
    void* p = port::frame_ptr(m);
    poison_fresh(p, size);
    return p;
}

void deallocate(void* p, usize size, usize align) {
    if (!is_large(size, align)) return deallocate_small(p, class_for(size, align), size);
    slabs.lock()->bytes -= size;
    free_frames(mfn(port::direct_map_address(p)), order_for(size));
}

u64 objects_bytes_in_use() { return slabs.lock()->bytes; }

void objects_reset() {
    auto s = slabs.lock();
    *s = Slabs{};
}

}  // namespace domus
