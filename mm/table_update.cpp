// SPDX-License-Identifier: GPL-2.0-or-later
// Changing an entry: take what the new one holds, write, give up what the old one held.
#include "mm/table_update.hpp"

#include "base/log.hpp"

namespace domus {

namespace {

constexpr u64 kHardwareBits = Pte::kAccessed | Pte::kDirty;

// Before the references of the old entry are given up: a log of dirty pages has tables of its own to change.
void write(LockedTable& table, unsigned index, Pte value, KeepBits keep) {
    Pte& e = table.entries()[index];
    if (keep == KeepBits::no) {
        store_entry(e, value);
    } else {
        u64 old = load_entry(e).v;
        while (!__atomic_compare_exchange_n(&e.v, &old, value.v | (old & kHardwareBits), false,
                                            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {}
    }
    note_entry_written(table.frame(), index);
}

[[gnu::cold, gnu::noinline]] Fail refuse(const LockedTable& table, unsigned index, Pte value, Error error) {
    guest_log(Level::warning, "d{}: L{} entry {} of frame {} refused: {:#x} ({})", table.frame().owner,
              table.level(), index, mfn_of(table.frame()), value.v, error);
    return fail(error);
}

// What must be taken before `value` replaces `old`, and given up after. The same frame with the same right to
// write, the most frequent change, needs neither.
class L1Change {
  public:
    Result<> take(Pte old, Pte value, DomId from, const TableRules& rules) {
        by_ = rules.owner;
        if (value.present()) {
            const u64 changed = old.v ^ value.v;
            if ((changed & (Pte::kPresent | Pte::kAddressMask)) == 0) [[likely]] {
                if ((value.v & rules.forbidden) != 0) return fail(Error::inval);
                if ((changed & Pte::kWritable) == 0) return {};
                if (frame_valid(value.mfn())) [[likely]] {
                    frame_ = &frame_of(value.mfn());
                    if (!value.writable()) {
                        give_up_ = GiveUp::type;
                        return {};
                    }
                    // A page that another domain lets this one read is not thereby its to write.
                    if (frame_->owner != from || !get_writable(*frame_)) return fail(Error::busy);
                    if (from != rules.owner) [[unlikely]]
                        outside_writer_begins(*frame_);
                    return {};
                }
            }
            TRY(get_l1_refs(value, from, rules));
        }
        if (old.present()) {
            give_up_ = GiveUp::all;
            old_ = old;
        }
        return {};
    }
    // The entry has been written.
    void finish() {
        if (give_up_ == GiveUp::type)
            put_use();
        else if (give_up_ == GiveUp::all)
            put_l1_refs(old_, by_);
    }
    // It has not.
    void undo(Pte old, Pte value) {
        if (give_up_ == GiveUp::type) return;
        const bool same = value.present() && ((old.v ^ value.v) & (Pte::kPresent | Pte::kAddressMask)) == 0;
        if (same && frame_ != nullptr) return put_use();
        if (value.present() && !(same && ((old.v ^ value.v) & Pte::kWritable) == 0)) put_l1_refs(value, by_);
    }

  private:
    void put_use() {
        if (frame_->owner != by_) [[unlikely]]
            outside_writer_ends(*frame_);
        put_writable(*frame_);
    }

    enum class GiveUp : u8 { nothing, type, all };
    GiveUp give_up_ = GiveUp::nothing;
    Frame* frame_ = nullptr;
    Pte old_;
    DomId by_{};  // the table's owner
};

}  // namespace

Result<> set_l1_entry(LockedTable& table, unsigned index, Pte value, DomId from, const TableRules& rules,
                      KeepBits keep) {
    Pte& e = table.entries()[index];
    const Pte old = load_entry(e);
    value = guest_entry(value, rules.forced);
    L1Change change;
    if (auto r = change.take(old, value, from, rules); !r) [[unlikely]]
        return refuse(table, index, value, r.error());
    write(table, index, value, keep);
    change.finish();
    return {};
}

Result<Pte> exchange_l1_entry(LockedTable& table, unsigned index, Pte expected, Pte value, DomId from,
                              const TableRules& rules) {
    Pte& e = table.entries()[index];
    const Pte old = load_entry(e);
    if (old != expected) return old;
    value = guest_entry(value, rules.forced);
    L1Change change;
    if (auto r = change.take(old, value, from, rules); !r) [[unlikely]]
        return refuse(table, index, value, r.error());
    u64 seen = old.v;
    if (!__atomic_compare_exchange_n(&e.v, &seen, value.v, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        change.undo(old, value);  // hardware has set a bit in between
        return Pte(seen);
    }
    note_entry_written(table.frame(), index);
    change.finish();
    return old;
}

Result<> move_l1_entry(L1Place to, L1Place from, Mfn frame, DomId owner) {
    if (!frame_valid(to.table) || !frame_valid(from.table)) return fail(Error::inval);
    const bool same = to.table == from.table;
    if (same && to.index == from.index) return fail(Error::inval);
    // Two tables of one level: the lower frame first, as everybody else who would lock two.
    const bool to_first = to.table.v <= from.table.v;
    const LockedTable first = TRY(LockedTable::lock(frame_of(to_first ? to.table : from.table)));
    LockedTable second;
    if (!same) second = TRY(LockedTable::lock(frame_of(to_first ? from.table : to.table)));
    const auto wrong = [&](const LockedTable& t) {
        return t.type() != PageType::l1 || t.frame().owner != owner;
    };
    if (wrong(first) || (second && wrong(second))) return fail(Error::inval);

    Pte& target = port::frame_ptr<Pte>(to.table)[to.index];
    Pte& source = port::frame_ptr<Pte>(from.table)[from.index];
    const Pte old = load_entry(target);
    if (!old.present() || old.mfn() != frame) return fail(Error::inval);
    // The references move with the entry.
    store_entry(target, Pte(__atomic_exchange_n(&source.v, 0, __ATOMIC_ACQ_REL)));
    note_entry_written(frame_of(from.table), from.index);
    note_entry_written(frame_of(to.table), to.index);
    put_l1_refs(old, owner);
    return {};
}

Result<> set_upper_entry(LockedTable& table, unsigned index, Pte value, const TableRules& rules,
                         Frame*& retired, KeepBits keep) {
    retired = nullptr;
    if (is_hypervisor_entry(table.type(), index)) return refuse(table, index, value, Error::inval);
    Pte& e = table.entries()[index];
    const Pte old = load_entry(e);
    value = guest_entry(value, forced_flags(table.type(), rules));
    constexpr u64 kRefs = Pte::kPresent | Pte::kAddressMask;
    if (value.present() && ((old.v ^ value.v) & kRefs) == 0) {
        if ((value.v & (rules.forbidden | Pte::kLarge)) != 0)
            return refuse(table, index, value, Error::inval);
        write(table, index, value, keep);
        return {};
    }
    if (value.present()) {
        if (auto r = get_table_refs(value, type_below(table.type(), index), rules); !r) {
            if (r.error() == Error::restart) return r;
            return refuse(table, index, value, r.error());
        }
    }
    write(table, index, value, keep);
    if (old.present() && !put_table_refs(old, rules.preempt)) retired = &frame_of(old.mfn());
    return {};
}

}  // namespace domus
