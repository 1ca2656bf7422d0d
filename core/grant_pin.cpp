// SPDX-License-Identifier: GPL-2.0-or-later
// Pinning entries while the guest may be writing them: read once, judge, set the flags.
#include "core/grant_pin.hpp"

#include <cstring>
#include <utility>

namespace domus::core {

namespace {

// The first four bytes of an entry of either version, which change as one.
struct Header {
    u16 flags, domid;
    static Header of(u32 word) { return {static_cast<u16>(word), static_cast<u16>(word >> 16)}; }
};

// A guest that rewrites an entry while it is being taken gets so many chances.
constexpr int kPatience = 8;

GrantResult<GrantedPart> pin_v1(const GrantTable& g, u32 ref, DomId grantee, GrantUse use) {
    u8* const entry = entry_v1(g, ref);
    auto* const word = reinterpret_cast<u32*>(entry);
    const u16 bits = grant_machine::flags_of(use.write);
    u32 seen = load_shared<u32>(word);
    for (int i = 0; i < kPatience; i++) {
        const Header h = Header::of(seen);
        TRY(grant_machine::judge(1, h.flags, h.domid, grantee, use));
        if ((h.flags & bits) == bits ||
            __atomic_compare_exchange_n(word, &seen, seen | bits, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            // From now on an honest guest leaves the frame number alone.
            return GrantedPart{.frame = load_shared<u32>(entry + offsetof(grant_entry_v1_t, frame))};
    }
    return refuse(GrantStatus::general_error);
}

// The other order: say first that the entry is in use, then look whether it still grants that. The guest
// clears its flags first and then looks whether the entry is in use.
GrantResult<GrantedPart> pin_v2(const GrantTable& g, u32 ref, DomId grantee, GrantUse use, GrantPins pins) {
    u8* const entry = entry_v2(g, ref);
    const Header before = Header::of(load_shared<u32>(entry));
    TRY(grant_machine::judge(2, before.flags, before.domid, grantee, use));
    u16* const status = status_word(g, ref);
    __atomic_fetch_or(status, grant_machine::flags_of(use.write), __ATOMIC_SEQ_CST);
    const Header h = Header::of(load_shared<u32>(entry));
    const auto kind = grant_machine::judge(2, h.flags, h.domid, grantee, use);
    if (!kind) {
        __atomic_fetch_and(status, static_cast<u16>(~grant_machine::idle_flags(pins)), __ATOMIC_RELEASE);
        return refuse(kind.error());
    }
    GrantedPart part{.kind = *kind};
    switch (*kind) {
        case GrantKind::page: part.frame = load_shared<u64>(entry + 8); break;
        case GrantKind::sub_page:
            part.offset = load_shared<u16>(entry + 4);
            part.length = load_shared<u16>(entry + 6);
            part.frame = load_shared<u64>(entry + 8);
            break;
        case GrantKind::transitive:
            part.next_domain = load_shared<u16>(entry + 4);
            part.next_ref = load_shared<u32>(entry + 8);
            break;
    }
    return part;
}
static_assert(offsetof(grant_entry_v2_t, full_page.frame) == 8 &&
              offsetof(grant_entry_v2_t, sub_page.page_off) == 4 &&
              offsetof(grant_entry_v2_t, sub_page.length) == 6 &&
              offsetof(grant_entry_v2_t, sub_page.frame) == 8 &&
              offsetof(grant_entry_v2_t, transitive.trans_domid) == 4 &&
              offsetof(grant_entry_v2_t, transitive.gref) == 8);

bool beyond_end(const GrantTable& g, u32 version, u32 ref) {
    return version == 2 && ref / GrantTable::kEntriesV2 >= g.frames.load(std::memory_order_relaxed);
}

template <class T>
void swap_words(u8* a, u8* b) {
    const T x = load_shared<T>(a);
    __atomic_store_n(reinterpret_cast<T*>(a), load_shared<T>(b), __ATOMIC_RELAXED);
    __atomic_store_n(reinterpret_cast<T*>(b), x, __ATOMIC_RELAXED);
}

}  // namespace

GrantResult<GrantedPart> pin_grant(GrantTable& g, u32 ref, DomId grantee, GrantUse use) {
    std::atomic<u32>* const word = g.pins_of(ref);
    if (word == nullptr) [[unlikely]]
        return refuse(GrantStatus::bad_gntref);
    EntryLock lock(g, *word);
    const u32 version = lock.version;
    if (version == 0) [[unlikely]]
        return refuse(GrantStatus::bad_domain);
    if (beyond_end(g, version, ref)) [[unlikely]]
        return refuse(GrantStatus::bad_gntref);
    const GrantPins more = TRY(grant_machine::add(lock.pins, use.write));
    const auto part = version == 1 ? pin_v1(g, ref, grantee, use) : pin_v2(g, ref, grantee, use, lock.pins);
    if (part) lock.pins = more;
    return part;
}

void unpin_grant(GrantTable& g, u32 ref, bool write) {
    EntryLock lock(g, *g.pins_of(ref));
    lock.pins = grant_machine::remove(lock.pins, write);
    const u32 version = lock.version;
    const u16 idle = grant_machine::idle_flags(lock.pins);
    if (version == 0 || idle == 0) return;
    // Version 1: the flags are the entry's first half word.
    u16* const flags = version == 1 ? reinterpret_cast<u16*>(entry_v1(g, ref)) : status_word(g, ref);
    __atomic_fetch_and(flags, static_cast<u16>(~idle), __ATOMIC_RELEASE);
}

GrantResult<> swap_grants(GrantTable& g, u32 a, u32 b) {
    if (a > b) std::swap(a, b);
    std::atomic<u32>* const pins_a = g.pins_of(a);
    std::atomic<u32>* const pins_b = g.pins_of(b);
    if (pins_a == nullptr || pins_b == nullptr) return refuse(GrantStatus::bad_gntref);
    // In rising order, as all who lock more than one.
    EntryLock lock_a(g, *pins_a);
    const u32 version = lock_a.version;
    if (version == 0) return refuse(GrantStatus::bad_domain);
    if (beyond_end(g, version, b)) return refuse(GrantStatus::bad_gntref);
    if (a == b) return {};
    EntryLock lock_b(*pins_b);
    if (!lock_a.pins.none() || !lock_b.pins.none()) return refuse(GrantStatus::eagain);
    if (version == 1) {
        swap_words<u64>(entry_v1(g, a), entry_v1(g, b));
    } else {
        swap_words<u64>(entry_v2(g, a), entry_v2(g, b));
        swap_words<u64>(entry_v2(g, a) + 8, entry_v2(g, b) + 8);
        swap_words<u16>(reinterpret_cast<u8*>(status_word(g, a)), reinterpret_cast<u8*>(status_word(g, b)));
    }
    return {};
}

}  // namespace domus::core
