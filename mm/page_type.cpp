// SPDX-License-Identifier: GPL-2.0-or-later
// The page-type state machine on the frame table: locking, validation and taking apart, preemption.
//
// A page's lock bit is held while its type changes and while its entries are written. CPUs wait only for a
// page of the type that they want, and take locks from level 4 down to level 1: there is no circle. No CPU
// waits for a flush while another waits for it: port::relax() serves flushes.
#include "mm/page_type.hpp"

#include "base/log.hpp"
#include "mm/descriptor.hpp"
#include "mm/page_type_share.hpp"
#include "mm/table_entry.hpp"
#include "port/cpu.hpp"

namespace domus {

constinit std::array<Pte, kHypervisorSlots> hypervisor_slots{};
constinit std::array<Pte, kPaeSlots> pae_slots{};

namespace {

constinit IoPermitted io_hook = nullptr;

TypeWord load(const Frame& f) { return TypeWord{f.type.load(std::memory_order_acquire)}; }
bool exchange(Frame& f, TypeWord& expected, TypeWord next) {
    return f.type.compare_exchange_strong(expected.v, next.v, std::memory_order_acq_rel,
                                          std::memory_order_acquire);
}
// The holder of the lock publishes a state in which no count of anyone else's can have changed.
void publish(Frame& f, TypeWord w) { f.type.store(w.v, std::memory_order_release); }

void set_stamp(Frame& f) { __atomic_store_n(&f.stamp, port::tlb_clock(), __ATOMIC_RELAXED); }

// Rule 4. The page is locked: nobody can use it meanwhile.
void flush_stale(Frame& f, TypeWord old, PageType next) {
    if (old.has(TypeWord::kStale) && old.type() != next)
        port::flush_since(__atomic_load_n(&f.stamp, __ATOMIC_RELAXED));
}

[[gnu::cold]] Fail refuse_type(const Frame& f, PageType t) {
    const TypeWord w = load(f);
    guest_log(Level::warning, "d{}: frame {} cannot become type {}: it is of type {}, used {} times{}",
              f.owner, mfn_of(f), static_cast<unsigned>(t), static_cast<unsigned>(w.type()), w.count(),
              w.has(TypeWord::kPartial) ? " (partial)" : "");
    return fail(Error::inval);
}

[[gnu::cold]] void log_entry(const Frame& table, unsigned level, unsigned index, Pte e, Error error) {
    guest_log(Level::warning, "d{}: entry {} of L{} table {} refused: {:#x} ({})", table.owner, index, level,
              mfn_of(table), e.v, error);
}

// Level 1, in one go. On failure nothing is held.
Result<> validate_l1(Frame& f, const TableRules& rules) {
    Pte* const table = port::frame_ptr<Pte>(mfn_of(f));
    for (unsigned i = 0; i < kPtesPerTable; i++) {
        const Pte e = load_entry(table[i]);
        if (!e.present()) continue;
        const Pte ours = guest_entry(e, rules.forced);
        if (auto r = get_l1_refs(ours, rules.owner, rules); !r) [[unlikely]] {
            log_entry(f, 1, i, e, r.error());
            while (i-- > 0)
                if (const Pte held = load_entry(table[i]); held.present()) put_l1_refs(held, rules.owner);
            return r;
        }
        if (ours != e) store_entry(table[i], ours);
    }
    return {};
}

void invalidate_l1(Frame& f) {
    const Pte* const table = port::frame_ptr<Pte>(mfn_of(f));
    for (unsigned i = 0; i < kPtesPerTable; i++)
        if (const Pte e = load_entry(table[i]); e.present()) put_l1_refs(e, f.owner);
}

// Levels 2 to 4, from entry `i` on. On any failure entries [0, i) hold their references.
Result<> validate_upper(Frame& f, PageType t, unsigned& i, const TableRules& rules) {
    const u64 forced = forced_flags(t, rules);
    Pte* const table = port::frame_ptr<Pte>(mfn_of(f));
    bool progress = false;  // each call makes some
    for (; i < kPtesPerTable; i++) {
        if (is_hypervisor_entry(t, i)) continue;
        const Pte e = load_entry(table[i]);
        if (!e.present()) continue;
        if (progress && rules.preempt == Preempt::yes && port::preempt_wanted()) return fail(Error::restart);
        if (auto r = get_table_refs(e, type_below(t, i), rules); !r) {
            if (r.error() != Error::restart) log_entry(f, level_of(t), i, e, r.error());
            return r;
        }
        progress = true;
        if (const Pte ours = guest_entry(e, forced); ours != e) store_entry(table[i], ours);
    }
    if (t == PageType::l2_top) {
        for (unsigned s = 0; s < kPaeSlots; s++) store_entry(table[kFirstPaeSlot + s], pae_slots[s]);
    } else if (t == PageType::l3_pae) {
        // To the CPU it is a whole table. Nobody has looked at what the guest left there, and addresses from
        // 4 GiB on are not its.
        for (unsigned at = kPaeRootEntries; at < kPtesPerTable; at++) store_entry(table[at], Pte());
    } else if (t == PageType::l4) {
        for (unsigned s = 0; s < kHypervisorSlots; s++)
            store_entry(table[kFirstHypervisorSlot + s], hypervisor_slots[s]);
        // Which address spaces see the M2P is the assist's matter (public xen.h): see pv/mmu_ext.cpp.
        if (!rules.m2p_strict) store_entry(table[kFirstHypervisorSlot], Pte());
    }
    return {};
}

// Levels 2 to 4: gives up what entries [0, i) hold. RESTART: entries [0, i) still do, for a smaller i.
Result<> invalidate_upper(Frame& f, PageType t, unsigned& i, Preempt preempt) {
    const Pte* const table = port::frame_ptr<Pte>(mfn_of(f));
    bool progress = false;
    for (; i > 0; i--) {
        const unsigned at = i - 1;
        if (is_hypervisor_entry(t, at)) continue;
        const Pte e = load_entry(table[at]);
        if (!e.present()) continue;
        if (progress && preempt == Preempt::yes && port::preempt_wanted()) return fail(Error::restart);
        TRY(put_table_refs(e, preempt));
        progress = true;
    }
    return {};
}

Result<> validate_descriptors(Frame& f, bool is_32bit) {
    u64* const table = port::frame_ptr<u64>(mfn_of(f));
    for (unsigned i = 0; i < kPageSize / sizeof(u64); i++) {
        const auto ours = is_32bit ? pv_descriptor32(table[i]) : pv_descriptor(table[i]);
        if (!ours) {
            guest_log(Level::warning, "d{}: descriptor {} of frame {} refused: {:#x}", f.owner, i, mfn_of(f),
                      table[i]);
            return fail(Error::inval);
        }
        table[i] = *ours;
    }
    return {};
}

Result<> validate(Frame& f, PageType t, unsigned& i, const TableRules& rules) {
    switch (t) {
        case PageType::l1: return validate_l1(f, rules);
        case PageType::l2:
        case PageType::l3:
        case PageType::l4:
        case PageType::l2_top:
        case PageType::l3_pae: return validate_upper(f, t, i, rules);
        case PageType::descriptors: return validate_descriptors(f, rules.is_32bit);
        case PageType::none:
        case PageType::writable: break;
    }
    return {};
}

Result<> invalidate(Frame& f, PageType t, unsigned& i, Preempt preempt) {
    if (t == PageType::l1) {
        if (i != 0) invalidate_l1(f);
        i = 0;
        return {};
    }
    return is_table(t) ? invalidate_upper(f, t, i, preempt) : Result<>{};
}

// The page is locked by us for a change to its type `w`, perhaps a partial one.
Result<> complete_get(Frame& f, TypeWord w, const TableRules& rules) {
    const PageType t = w.type();
    const bool was_partial = w.has(TypeWord::kPartial);
    const bool own_ref = was_partial && w.count() == 0;  // the partial state's own
    unsigned i = was_partial ? w.index() : 0;
    Result<> r = w.has(TypeWord::kFailed) ? Result<>(fail(Error::inval)) : validate(f, t, i, rules);
    if (r) {
        // What it is travels with the page: as written, even if nothing in it has changed.
        note_written(f);
        publish(f, type_machine::finish_get(w));
        if (own_ref) put_ref(f);
        return {};
    }
    bool failed = false;
    if (r.error() != Error::restart) {
        failed = true;
        if (t == PageType::l1) i = 0;  // undone already
        const Result<> undone = invalidate(f, t, i, rules.preempt);
        if (undone) {
            // Others' uses (of a page whose last use was being given up) remain, with nothing validated.
            publish(f, w.count() == 0 ? TypeWord::of(t, w.v & TypeWord::kStale)
                                      : type_machine::suspend(w, 0, false));
            if (own_ref) put_ref(f);
            return r;
        }
    }
    if (w.count() == 0 && !own_ref) get_ref_more(f);
    publish(f, type_machine::suspend(w, i, failed));
    return fail(Error::restart);
}

}  // namespace

void set_io_permitted(IoPermitted hook) { io_hook = hook; }
bool io_permitted(DomId domain, Mfn m, bool write) { return io_hook != nullptr && io_hook(domain, m, write); }

Result<> detail::get_l1_slow(Pte e, DomId from, const TableRules& rules) {
    const Mfn m = e.mfn();
    if ((e.v & rules.forbidden) != 0) return fail(Error::inval);
    if (frame_valid(m)) return fail(Error::busy);
    if (from != rules.owner && from != kOwnerIo) return fail(Error::inval);
    return io_permitted(rules.owner, m, e.writable()) ? Result<>{} : fail(Error::perm);
}

Result<> get_table_refs(Pte e, PageType type, const TableRules& rules) {
    if ((e.v & (rules.forbidden | Pte::kLarge | Pte::kGlobal)) != 0) return fail(Error::inval);
    if (!frame_valid(e.mfn())) return fail(Error::inval);
    Frame& below = frame_of(e.mfn());
    if (!get_ref(below, rules.owner)) return fail(Error::inval);
    Result<> r = get_page_type(below, type, rules);
    if (!r) put_ref(below);
    return r;
}

Result<> put_table_refs(Pte e, Preempt preempt) {
    Frame& below = frame_of(e.mfn());
    TRY(put_page_type(below, preempt));
    put_ref(below);
    return {};
}

bool detail::get_writable_slow(Frame& f) {
    TypeWord w = load(f);
    TypeWord next;
    for (;;) {
        if (type_machine::can_share(w, PageType::writable)) {
            if (exchange(f, w, type_machine::share(w))) return true;
            continue;
        }
        // Another CPU is just making it writable.
        if (w.has(TypeWord::kLocked) && w.type() == PageType::writable) {
            port::relax();
            w = load(f);
            continue;
        }
        const auto begun = type_machine::begin_get(w, PageType::writable);
        if (!begun) {
            (void)refuse_type(f, PageType::writable);
            return false;
        }
        if (!w.has(TypeWord::kStale)) {
            // Nothing to flush: the two steps are one.
            if (exchange(f, w, type_machine::finish_get(*begun))) return true;
            continue;
        }
        next = *begun;
        if (exchange(f, w, next)) break;
    }
    flush_stale(f, w, PageType::writable);
    publish(f, type_machine::finish_get(next));
    return true;
}

void detail::put_writable_slow(Frame& f) {
    TypeWord w = load(f);
    while (!exchange(f, w, type_machine::begin_unshare_writable(w))) {}
    if (w.count() == 1) stamp_last_writable(f, w);
}

Result<> get_page_type(Frame& f, PageType t, const TableRules& rules) {
    if (t == PageType::writable) return get_writable(f) ? Result<>{} : fail(Error::inval);
    TypeWord w = load(f);
    for (;;) {
        if (type_machine::can_share(w, t)) {
            if (exchange(f, w, type_machine::share(w))) return {};
            continue;
        }
        if (w.has(TypeWord::kLocked) && w.type() == t) {
            port::relax();
            w = load(f);
            continue;
        }
        const auto next = type_machine::begin_get(w, t);
        if (!next) return refuse_type(f, t);
        if (!exchange(f, w, *next)) continue;
        flush_stale(f, w, t);
        return complete_get(f, *next, rules);
    }
}

bool share_page_type(Frame& f, PageType t) {
    TypeWord w = load(f);
    for (;;) {
        if (type_machine::can_share(w, t)) {
            if (exchange(f, w, type_machine::share(w))) return true;
            continue;
        }
        if (!w.has(TypeWord::kLocked) || w.type() != t) return false;
        port::relax();
        w = load(f);
    }
}

Result<> put_page_type(Frame& f, Preempt preempt) {
    TypeWord w = load(f);
    TypeWord locked;
    for (;;) {
        ASSERT(w.count() != 0);
        if (w.type() == PageType::writable) {
            put_writable(f);
            return {};
        }
        if (type_machine::can_unshare(w)) {
            if (exchange(f, w, type_machine::unshare(w))) return {};
            continue;
        }
        if (w.has(TypeWord::kLocked)) {
            port::relax();
            w = load(f);
            continue;
        }
        locked = type_machine::begin_last_put(w);
        if (exchange(f, w, locked)) break;
    }
    unsigned i = w.has(TypeWord::kPartial) ? w.index() : kPtesPerTable;
    note_table_ends(f);
    if (!invalidate(f, w.type(), i, preempt)) {
        publish(f, type_machine::suspend(locked, i, false));
        return fail(Error::restart);
    }
    note_written(f);
    set_stamp(f);
    publish(f, type_machine::finish_last_put(locked));
    return {};
}

namespace {

// Sets or clears the pinned bit of a page that nobody has locked. False: it was so already.
bool change_pinned(Frame& f, bool pinned) {
    TypeWord w = load(f);
    for (;;) {
        if (w.has(TypeWord::kPinned) == pinned) return false;
        if (w.has(TypeWord::kLocked)) {
            port::relax();
            w = load(f);
            continue;
        }
        if (exchange(f, w, TypeWord{w.v ^ TypeWord::kPinned})) {
            note_written(f);
            return true;
        }
    }
}

}  // namespace

Result<> pin_page(Frame& f, PageType t, const TableRules& rules) {
    TRY(get_page_type(f, t, rules));
    get_ref_more(f);
    if (change_pinned(f, true)) return {};
    guest_log(Level::warning, "d{}: frame {} is pinned already", f.owner, mfn_of(f));
    // The pin's count remains: this is not the last use.
    (void)put_page_type(f, Preempt::no);
    put_ref(f);
    return fail(Error::inval);
}

Result<> unpin_page(Frame& f, Preempt preempt) {
    if (!change_pinned(f, false)) {
        guest_log(Level::warning, "d{}: frame {} is not pinned", f.owner, mfn_of(f));
        return fail(Error::inval);
    }
    for (;;) {
        if (put_page_type(f, preempt)) {
            put_ref(f);
            return {};
        }
        // Interrupted: the page counts as pinned until the rest is done. If another CPU has pinned it anew
        // meanwhile, that is the pin, and our use is to go.
        if (change_pinned(f, true)) return fail(Error::restart);
    }
}

bool take_pin(Frame& f) { return change_pinned(f, false); }

Result<> relinquish_page_type(Frame& f) {
    TypeWord w = load(f);
    if (w.has(TypeWord::kPinned)) {
        // The control domain may have unpinned it just now: then that is done.
        if (const auto r = unpin_page(f, Preempt::yes); !r && r.error() == Error::restart) return r;
        w = load(f);
    }
    if (!w.has(TypeWord::kPartial) || w.count() != 0 || w.has(TypeWord::kLocked)) return {};
    const TypeWord locked{w.v | TypeWord::kLocked};
    if (!exchange(f, w, locked)) return fail(Error::restart);
    unsigned i = w.index();
    if (!invalidate(f, w.type(), i, Preempt::yes)) {
        publish(f, type_machine::suspend(locked, i, true));
        return fail(Error::restart);
    }
    publish(f, TypeWord::of(w.type(), w.v & TypeWord::kStale));
    put_ref(f);
    return {};
}

}  // namespace domus
