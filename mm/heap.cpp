// SPDX-License-Identifier: GPL-2.0-or-later
// The buddy allocator. One node now; a NUMA machine will have one BuddyNode for each node.
#include "mm/heap.hpp"

#include <bit>
#include <cstring>

#include "base/assert.hpp"
#include "mm/page_offline.hpp"
#include "mm/tlb_stamp.hpp"
#include "port/lock.hpp"
#include "port/memory.hpp"
#include "port/tlb.hpp"

namespace domus {

namespace {

// Zone z holds addresses in [2^(20+z), 2^(21+z)); zone 0 holds the first MiB as well.
constexpr unsigned kLowestZoneBits = 20 - kPageShift;  // for frame numbers
constexpr unsigned kZones = 52 - 20;
constexpr u32 kEnd = ~u32{0};

constexpr unsigned zone_of(u64 frame) {
    const unsigned bits = static_cast<unsigned>(std::bit_width(frame));
    return bits <= kLowestZoneBits ? 0 : bits - 1 - kLowestZoneBits;
}

class BuddyNode {
  public:
    void put(u64 first, unsigned order, u8 stale, u32 stamp);
    // A free block of the order, or kEnd; sets what its frames' translations need.
    u64 take(unsigned order, unsigned zone_limit, bool& stale, u32& stamp);

    u64 free_between(unsigned min_bits, unsigned max_bits) const;

    // Takes a frame out of the free block that holds it; false if it is not free.
    bool take_out(u64 m);

    u64 free_frames = 0;
    u64 offline = 0, going_offline = 0;  // frames with kFrameOffline, with kFrameGoesOffline

  private:
    struct Zone {
        u32 orders = 0;  // bit o: the list of order o is not empty
        u64 free = 0;    // frames
        std::array<u32, kMaxOrder + 1> head{};
    };

    void push(u64 first, unsigned order, u8 stale, u32 stamp);
    void unlink(u64 first, unsigned order);

    u32 zones_ = 0;  // bit z: zone z has a free block
    std::array<Zone, kZones> zone_{};
};

Frame& frame(u64 m) { return frame_of(Mfn(m)); }

void BuddyNode::push(u64 first, unsigned order, u8 stale, u32 stamp) {
    const unsigned z = zone_of(first);
    Zone& zone = zone_[z];
    Frame& f = frame(first);
    const bool was_empty = (zone.orders >> order & 1) == 0;
    f.next = was_empty ? kEnd : zone.head[order];
    f.prev = kEnd;
    f.order = static_cast<u8>(order);
    f.flags = static_cast<u8>(kFrameFreeHead | stale);
    f.stamp = stamp;
    if (!was_empty) frame(f.next).prev = static_cast<u32>(first);
    zone.head[order] = static_cast<u32>(first);
    zone.orders |= 1u << order;
    zone.free += u64{1} << order;
    zones_ |= 1u << z;
}

void BuddyNode::unlink(u64 first, unsigned order) {
    const unsigned z = zone_of(first);
    Zone& zone = zone_[z];
    Frame& f = frame(first);
    if (f.next != kEnd) frame(f.next).prev = f.prev;
    if (f.prev != kEnd) {
        frame(f.prev).next = f.next;
    } else if (f.next != kEnd) {
        zone.head[order] = f.next;
    } else {
        zone.orders &= ~(1u << order);
        if (zone.orders == 0) zones_ &= ~(1u << z);
    }
    zone.free -= u64{1} << order;
    f.flags = 0;
}

void BuddyNode::put(u64 first, unsigned order, u8 stale, u32 stamp) {
    free_frames += u64{1} << order;
    // The buddy's metadata exists: buddies share a chunk. They must share a zone, else a block could reach
    // over an address limit.
    for (; order < kMaxOrder; order++) {
        const u64 buddy = first ^ (u64{1} << order);
        const Frame& b = frame(buddy);
        if ((b.flags & kFrameFreeHead) == 0 || b.order != order || zone_of(buddy) != zone_of(first)) break;
        if ((b.flags & kFrameStale) != 0) {
            stamp = stale == 0 ? b.stamp : later_stamp(port::tlb_clock(), stamp, b.stamp);
            stale = kFrameStale;
        }
        unlink(buddy, order);
        first &= ~(u64{1} << order);
    }
    push(first, order, stale, stamp);
}

u64 BuddyNode::take(unsigned order, unsigned zone_limit, bool& stale, u32& stamp) {
    u32 zones = zone_limit >= 32 ? zones_ : zones_ & ((1u << zone_limit) - 1);
    while (zones != 0) {
        const unsigned z = 31 - static_cast<unsigned>(std::countl_zero(zones));
        const u32 orders = zone_[z].orders & (~u32{0} << order);
        if (orders == 0) {
            zones &= ~(1u << z);
            continue;
        }
        unsigned have = static_cast<unsigned>(std::countr_zero(orders));
        const u64 first = zone_[z].head[have];
        const Frame& f = frame(first);
        const u8 stale_bit = f.flags & kFrameStale;
        stale = stale_bit != 0;
        stamp = f.stamp;
        unlink(first, have);
        while (have > order) {
            have--;
            push(first + (u64{1} << have), have, stale_bit, stamp);
        }
        free_frames -= u64{1} << order;
        return first;
    }
    return kEnd;
}

bool BuddyNode::take_out(u64 m) {
    for (unsigned have = 0; have <= kMaxOrder; have++) {
        u64 first = m & ~((u64{1} << have) - 1);
        const Frame& f = frame(first);
        if ((f.flags & kFrameFreeHead) == 0 || f.order != have) continue;
        const u8 stale = f.flags & kFrameStale;
        const u32 stamp = f.stamp;
        unlink(first, have);
        while (have > 0) {
            have--;
            const u64 upper = first + (u64{1} << have);
            push(m < upper ? upper : first, have, stale, stamp);
            if (m >= upper) first = upper;
        }
        free_frames--;
        return true;
    }
    return false;
}

u64 BuddyNode::free_between(unsigned min_bits, unsigned max_bits) const {
    u64 sum = 0;
    for (unsigned z = 0; z < kZones; z++) {
        const unsigned bits = kLowestZoneBits + kPageShift + z + 1;
        if (bits >= min_bits && bits <= max_bits) sum += zone_[z].free;
    }
    return sum;
}

constinit Guarded<BuddyNode, Rank::heap> node0;
constinit u64 fail_countdown = ~u64{0};

void give(Mfn first, unsigned order, u8 stale) {
    ASSERT(order <= kMaxOrder && (first.v & ((u64{1} << order) - 1)) == 0);
    ASSERT((frame_of(first).flags & (kFrameFreeHead | kFrameHole)) == 0);
    auto node = node0.lock();
    const u32 stamp = stale != 0 ? port::tlb_clock() : 0;
    if (node->going_offline == 0) [[likely]]
        return node->put(first.v, order, stale, stamp);
    for (u64 m = first.v; m < first.v + (u64{1} << order); m++) {
        if ((frame(m).flags & kFrameGoesOffline) == 0) {
            node->put(m, 0, stale, stamp);
            continue;
        }
        frame(m).flags = kFrameOffline;
        node->going_offline--;
        node->offline++;
    }
}

}  // namespace

void heap_add(Mfn first, u64 count) {
    u64 at = first.v;
    const u64 end = at + count;
    while (at < end) {
        unsigned order = at == 0 ? kMaxOrder : static_cast<unsigned>(std::countr_zero(at));
        if (order > kMaxOrder) order = kMaxOrder;
        // A block lies in one zone: address limits are kept by zone.
        while (at + (u64{1} << order) > end || zone_of(at) != zone_of(at + (u64{1} << order) - 1)) order--;
        give(Mfn(at), order, 0);
        at += u64{1} << order;
    }
}

Result<Mfn> alloc_frames(unsigned order, AllocLimits limits) {
    if (order > kMaxOrder) return fail(Error::nomem);
    if (fail_countdown != ~u64{0} && fail_countdown-- == 0) return fail(Error::nomem);
    // Zone z ends at 2^(21+z); it is within the limit if that is at most 2^address_bits.
    if (limits.address_bits < kLowestZoneBits + kPageShift) return fail(Error::nomem);
    const unsigned zone_limit =
        limits.address_bits >= 52 ? 32 : limits.address_bits - (kLowestZoneBits + kPageShift);
    if (zone_limit == 0) return fail(Error::nomem);
    bool stale = false;
    u32 stamp = 0;
    u64 first;
    {
        auto node = node0.lock();
        first = node->take(order, zone_limit, stale, stamp);
        if (first == kEnd) return fail(Error::nomem);
    }
    if (stale) port::flush_since(stamp);
    if (limits.scrub) std::memset(port::frame_ptr(Mfn(first)), 0, kPageSize << order);
    return Mfn(first);
}

void free_frames(Mfn first, unsigned order) { give(first, order, 0); }
void free_guest_frames(Mfn first, unsigned order) { give(first, order, kFrameStale); }

u64 heap_free_frames() { return node0.lock()->free_frames; }
u64 heap_free_frames(unsigned min_bits, unsigned max_bits) {
    return node0.lock()->free_between(min_bits, max_bits);
}

Result<FrameUse> take_frame_offline(Mfn m) {
    if (!frame_valid(m)) return fail(Error::inval);
    auto node = node0.lock();
    Frame& f = frame_of(m);
    if ((f.flags & kFrameOffline) != 0) return FrameUse::offline;
    if (node->take_out(m.v)) {
        f.flags = kFrameOffline;
        node->offline++;
        return FrameUse::offline;
    }
    if ((f.flags & kFrameGoesOffline) == 0) node->going_offline++;
    f.flags |= kFrameGoesOffline;
    return FrameUse::goes_offline;
}

Result<> bring_frame_online(Mfn m) {
    if (!frame_valid(m)) return fail(Error::inval);
    auto node = node0.lock();
    Frame& f = frame_of(m);
    if ((f.flags & kFrameGoesOffline) != 0) node->going_offline--;
    f.flags &= static_cast<u8>(~kFrameGoesOffline);
    if ((f.flags & kFrameOffline) == 0) return {};
    f.flags = 0;
    node->offline--;
    // Guests may have mapped it before it went.
    node->put(m.v, 0, kFrameStale, port::tlb_clock());
    return {};
}

Result<FrameUse> frame_use(Mfn m) {
    if (!frame_valid(m)) return fail(Error::inval);
    auto node = node0.lock();
    const u8 flags = frame_of(m).flags;
    if ((flags & kFrameOffline) != 0) return FrameUse::offline;
    return (flags & kFrameGoesOffline) != 0 ? FrameUse::goes_offline : FrameUse::online;
}

u64 offline_frames() { return node0.lock()->offline; }

void heap_reset() {
    *node0.lock() = BuddyNode{};
    detail::ram_chunks = {};
    detail::ram_end = 0;
    fail_countdown = ~u64{0};
}
void heap_fail_after(u64 n) { fail_countdown = n; }

}  // namespace domus
