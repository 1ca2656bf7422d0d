// SPDX-License-Identifier: GPL-2.0-or-later
// Page types: as what a PV guest's page is being used, so that the guest never writes what the CPU trusts.
//
// A page has one type at a time, counted by its uses. The rules that everything rests on:
//  1. A type is left only when its count is zero.
//     A page is thus never mapped writable while it is a page table
//     or a descriptor page.
//  2. A table's type holds for as long as its contents are validated: each present entry holds a general
//     reference to what it points to and, if it points to a table or is writable, a count of its type.
//  3. Who holds a count of a type holds a general reference as well.
//  4. A page that was mapped writable, or was a table, is `stale`: TLBs may still know it as such. It takes
//     another type only after every CPU has flushed since Frame::stamp. Safety never depends on a guest's
//     flushes.
//
// The tables of levels 2 to 4 are validated and taken apart preemptibly: "partial" says that entries [0,
// index) hold their references, and anybody may go on from there. A partial table that nobody counts (its
// validation was interrupted) holds one general reference of its own. Tables of level 1 are done in one go.
#pragma once

#include "arch_state/pte.hpp"
#include "base/result.hpp"
#include "mm/frame_refs.hpp"
#include "port/tlb.hpp"

namespace domus {

enum class PageType : u8 {
    none = 0,
    writable = 1,
    l1 = 2,
    l2 = 3,
    l3 = 4,
    l4 = 5,
    l2_top = 6,       // of a 32-bit guest, for its last GiB: the upper entries are the hypervisor's
    l3_pae = 7,       // a 32-bit guest's root, of four entries
    descriptors = 8,  // segment descriptors: a page of a GDT or LDT
};

constexpr bool is_table(PageType t) { return t >= PageType::l1 && t <= PageType::l3_pae; }
// Precondition: is_table(t).
constexpr unsigned level_of(PageType t) {
    constexpr u32 kLevels = 0x32432100;  // a digit for each type, the first one last
    return (kLevels >> (4 * static_cast<unsigned>(t))) & 15;
}
constexpr PageType table_type(unsigned level) {
    return static_cast<PageType>(static_cast<unsigned>(PageType::l1) + level - 1);
}

// Frame::type, as a value: one state of the state machine. Transitions are pure; the atomic wrapper is in
// page_type.cpp.
struct TypeWord {
    u64 v = 0;

    // A count cannot overflow: uses are entries of tables in memory, of which 2^40 do not fit.
    static constexpr u64 kCount = (u64{1} << 40) - 1;
    static constexpr unsigned kIndexShift = 40;  // 10 bits: 0 to 512
    static constexpr u64 kIndex = u64{0x3ff} << kIndexShift;
    static constexpr u64 kFailed = u64{1} << 54;   // partial: validation has failed and is being undone
    static constexpr u64 kPartial = u64{1} << 55;  // entries [0, index) hold their references
    static constexpr u64 kLocked = u64{1} << 56;   // one CPU is changing type or contents
    static constexpr u64 kPinned = u64{1} << 57;   // the guest holds one count by hypercall
    static constexpr u64 kValidated = u64{1} << 58;
    static constexpr u64 kStale = u64{1} << 59;
    static constexpr unsigned kTypeShift = 60;

    constexpr PageType type() const { return static_cast<PageType>(v >> kTypeShift); }
    constexpr u64 count() const { return v & kCount; }
    constexpr unsigned index() const { return static_cast<unsigned>((v & kIndex) >> kIndexShift); }
    constexpr bool has(u64 flag) const { return (v & flag) != 0; }
    constexpr bool at_rest() const { return (v & (kCount | kPartial | kLocked | kPinned)) == 0; }
    constexpr bool operator==(const TypeWord&) const = default;

    static constexpr TypeWord of(PageType t, u64 flags = 0, u64 count = 0) {
        return TypeWord{static_cast<u64>(t) << kTypeShift | flags | count};
    }
};

// The transitions. Each says what the word becomes, or why not.
namespace type_machine {

// One more use of a type that the page has and that is validated.
constexpr bool can_share(TypeWord w, PageType t) { return w.type() == t && w.has(TypeWord::kValidated); }
constexpr TypeWord share(TypeWord w) { return TypeWord{w.v + 1}; }

// Starts the change to a type that the page does not have now, or goes on with a partial one: locks the page.
// EINVAL: it is in use as something else. The caller has waited for the lock where the type is the same.
constexpr Result<TypeWord> begin_get(TypeWord w, PageType t) {
    if (w.has(TypeWord::kLocked)) return fail(Error::inval);
    if (w.has(TypeWord::kPartial)) {
        if (w.type() != t) return fail(Error::inval);
        return TypeWord{w.v | TypeWord::kLocked};
    }
    if (w.count() != 0) return fail(Error::inval);
    const u64 keep = w.type() == t ? w.v & TypeWord::kStale : 0;
    return TypeWord::of(t, TypeWord::kLocked | keep);
}
// Ends it with success: one more use, unlocked.
constexpr TypeWord finish_get(TypeWord w) {
    return TypeWord::of(w.type(), TypeWord::kValidated | (w.v & (TypeWord::kPinned | TypeWord::kStale)),
                        w.count() + 1);
}
// Interrupts a change at an index (either direction), or leaves it where it failed with others' uses pending.
constexpr TypeWord suspend(TypeWord w, unsigned index, bool failed) {
    return TypeWord::of(w.type(),
                        TypeWord::kPartial | (failed ? TypeWord::kFailed : 0) |
                            static_cast<u64>(index) << TypeWord::kIndexShift |
                            (w.v & (TypeWord::kPinned | TypeWord::kStale)),
                        w.count());
}

// One use less that is not a table's last.
constexpr bool can_unshare(TypeWord w) {
    return w.has(TypeWord::kValidated) && (w.count() > 1 || !is_table(w.type()));
}
constexpr TypeWord unshare(TypeWord w) {
    const bool goes_stale = w.count() == 1 && w.type() == PageType::writable;
    // A writable page that nobody writes stays validated: taking the type again is a mere count.
    u64 flags = goes_stale ? TypeWord::kStale : 0;
    u64 v = (w.v - 1) | flags;
    if (w.count() == 1 && w.type() != PageType::writable) v &= ~TypeWord::kValidated;
    return TypeWord{v};
}

// One use less of a writable page: the last one first locks it, for its stamp.
constexpr TypeWord begin_unshare_writable(TypeWord w) {
    return w.count() != 1 ? unshare(w) : TypeWord{(w.v | TypeWord::kLocked) & ~TypeWord::kValidated};
}

// The last use of a table, or of a partial one, is to go: locks it.
constexpr TypeWord begin_last_put(TypeWord w) {
    return TypeWord{(w.v | TypeWord::kLocked) & ~TypeWord::kValidated};
}
constexpr TypeWord finish_last_put(TypeWord w) { return TypeWord::of(w.type(), TypeWord::kStale); }

}  // namespace type_machine

enum class Preempt : u8 { no, yes };

// What the domain that owns a table may put into it.
struct TableRules {
    DomId owner{};
    u64 forbidden = 0;        // flags of entries at any level: Pte::kWriteThrough and so on
    u64 forced = Pte::kUser;  // flags that every present entry gets: see mm/table_entry.hpp
    bool is_32bit = false;    // of a 32-bit guest
    bool m2p_strict = false;  // VMASST_TYPE_m2p_strict of the domain
    Preempt preempt = Preempt::no;
};

// Device memory: may `domain` map the frame (not RAM)? Set once at boot by core; without it, nobody may. A
// frame that it permits never becomes RAM.
using IoPermitted = bool (*)(DomId domain, Mfn m, bool write);
void set_io_permitted(IoPermitted hook);
bool io_permitted(DomId domain, Mfn m, bool write);

// The hypervisor's slots of a level 4 table, 256 to 271 (arch_state/layout.hpp). Filled by the architecture
// before the first guest table is validated; copied into each L4 table when it becomes one.
inline constexpr unsigned kHypervisorSlots = 16, kFirstHypervisorSlot = 256;
extern constinit std::array<Pte, kHypervisorSlots> hypervisor_slots;
constexpr bool is_hypervisor_slot(unsigned index) { return index - kFirstHypervisorSlot < kHypervisorSlots; }

// The hypervisor's entries of a 32-bit guest's last level 2 table: from 0xf5800000 on, where the ABI has the
// machine-to-physical table (public arch-x86/xen-x86_32.h). Filled as above.
inline constexpr unsigned kFirstPaeSlot = 428, kPaeSlots = kPtesPerTable - kFirstPaeSlot, kPaeRootEntries = 4;
extern constinit std::array<Pte, kPaeSlots> pae_slots;

// Is the entry of a table of this type the hypervisor's, not the guest's?
constexpr bool is_hypervisor_entry(PageType t, unsigned index) {
    switch (t) {
        case PageType::l4: return is_hypervisor_slot(index);
        case PageType::l2_top: return index >= kFirstPaeSlot;
        case PageType::l3_pae: return index >= kPaeRootEntries;
        default: return false;
    }
}
// What an entry of a table of level 2 to 4 leads to.
constexpr PageType type_below(PageType t, unsigned index) {
    if (t == PageType::l3_pae) return index == kPaeRootEntries - 1 ? PageType::l2_top : PageType::l2;
    return table_type(level_of(t) - 1);
}

// Takes a use of type `t`, changing the type and validating the contents if need be; the caller holds a
// reference to the frame. EINVAL: in use as something else, or contents that are not allowed (logged).
// RESTART (with rules.preempt only): nothing is held, but progress is kept; call again.
Result<> get_page_type(Frame& f, PageType t, const TableRules& rules);

// Gives up a use. RESTART (with Preempt::yes only): the use is still held, progress is kept; call again.
Result<> put_page_type(Frame& f, Preempt preempt);

// Undoes a partial validation that nobody counts, and unpins: for a domain's end. RESTART: call again.
Result<> relinquish_page_type(Frame& f);

// Pinning: one use that the guest holds by hypercall. The caller holds a reference, and keeps it.
// pin_page: EINVAL as get_page_type, or pinned already. unpin_page: EINVAL if not pinned.
Result<> pin_page(Frame& f, PageType t, const TableRules& rules);
Result<> unpin_page(Frame& f, Preempt preempt);
// As unpin_page, but the caller gets the pin's use of the type, and the reference that goes with it, to give
// up. False: not pinned any more.
bool take_pin(Frame& f);

// The writable type, by far the most frequent, inline.
namespace detail {
bool get_writable_slow(Frame& f);
void put_writable_slow(Frame& f);

// `before`: the word from which begin_unshare_writable() locked the page. The stamp is read and stored while
// nobody can make another use: one made and given up in between would have gone stale after it.
inline void stamp_last_writable(Frame& f, TypeWord before) {
    __atomic_store_n(&f.stamp, port::tlb_clock(), __ATOMIC_RELAXED);
    f.type.store(type_machine::unshare(before).v, std::memory_order_release);
}
}  // namespace detail

inline bool get_writable(Frame& f) {
    constexpr u64 kMask = ~(TypeWord::kCount | TypeWord::kStale | TypeWord::kPinned);
    constexpr u64 kPlain = TypeWord::of(PageType::writable, TypeWord::kValidated).v;
    u64 v = f.type.load(std::memory_order_relaxed);
    if ((v & kMask) == kPlain && f.type.compare_exchange_strong(v, v + 1, std::memory_order_acquire))
        [[likely]]
        return true;
    return detail::get_writable_slow(f);
}

inline void put_writable(Frame& f) {
    u64 v = f.type.load(std::memory_order_relaxed);
    ASSERT((v & TypeWord::kCount) != 0 && TypeWord{v}.type() == PageType::writable);
    if (!f.type.compare_exchange_strong(v, type_machine::begin_unshare_writable(TypeWord{v}).v,
                                        std::memory_order_acq_rel)) [[unlikely]] {
        return detail::put_writable_slow(f);
    }
    if ((v & TypeWord::kCount) == 1) detail::stamp_last_writable(f, TypeWord{v});
}

}  // namespace domus
