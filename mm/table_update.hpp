// SPDX-License-Identifier: GPL-2.0-or-later
// Writing entries of a validated page table. The table's lock bit is held meanwhile: it serialises writers,
// and keeps the table's last use from being given up. Hardware may set accessed and dirty bits at any time.
#pragma once

#include <utility>

#include "mm/table_entry.hpp"
#include "port/cpu.hpp"

namespace domus {

class [[nodiscard]] LockedTable {
  public:
    constexpr LockedTable() = default;
    LockedTable(LockedTable&& o) noexcept
        : frame_(std::exchange(o.frame_, nullptr)), entries_(o.entries_), type_(o.type_) {}
    LockedTable& operator=(LockedTable&& o) noexcept {
        if (this != &o) {
            unlock();
            frame_ = std::exchange(o.frame_, nullptr);
            entries_ = o.entries_;
            type_ = o.type_;
        }
        return *this;
    }
    ~LockedTable() { unlock(); }

    // Locks a page that is a validated table. The caller holds a reference, or knows that the table is in
    // use. EINVAL: it is not one.
    static Result<LockedTable> lock(Frame& f) {
        u64 v = f.type.load(std::memory_order_relaxed);
        for (;;) {
            const TypeWord w{v};
            if (!is_table(w.type()) || !w.has(TypeWord::kValidated)) [[unlikely]]
                return fail(Error::inval);
            if (w.has(TypeWord::kLocked)) [[unlikely]] {
                port::relax();
                v = f.type.load(std::memory_order_relaxed);
                continue;
            }
            if (f.type.compare_exchange_strong(v, v | TypeWord::kLocked, std::memory_order_acquire))
                [[likely]]
                return LockedTable(f, w.type());
        }
    }
    void unlock() {
        if (frame_ != nullptr)
            std::exchange(frame_, nullptr)->type.fetch_and(~TypeWord::kLocked, std::memory_order_release);
    }

    explicit operator bool() const { return frame_ != nullptr; }
    Frame& frame() const { return *frame_; }
    PageType type() const { return type_; }
    unsigned level() const { return level_of(type_); }
    Pte* entries() const { return entries_; }

  private:
    LockedTable(Frame& f, PageType type)
        : frame_(&f), entries_(port::frame_ptr<Pte>(mfn_of(f))), type_(type) {}

    Frame* frame_ = nullptr;
    Pte* entries_ = nullptr;
    PageType type_ = PageType::none;
};

enum class KeepBits : bool { no, accessed_dirty };

// Writes entry `index` (< 512) of a level 1 table after the checks of get_l1_refs. `from` owns the page that
// the entry shall map.
Result<> set_l1_entry(LockedTable& table, unsigned index, Pte value, DomId from, const TableRules& rules,
                      KeepBits keep = KeepBits::no);

// As an atomic compare-and-exchange of the guest's: writes only if the entry is `expected`, accessed and
// dirty bits included. Returns the entry before.
Result<Pte> exchange_l1_entry(LockedTable& table, unsigned index, Pte expected, Pte value, DomId from,
                              const TableRules& rules);

// An entry of a level 1 table, which need not be one any more.
struct L1Place {
    Mfn table;
    unsigned index;  // < 512
};
// Puts the entry at `from` in place of the one at `to`, if that maps `frame`, whose references it gives up;
// `from` becomes empty. EINVAL: it does not, the places are the same, or they are not in level 1 tables of
// `owner`'s.
Result<> move_l1_entry(L1Place to, L1Place from, Mfn frame, DomId owner);

// Writes an entry of a level 2 to 4 table. EINVAL also for the hypervisor's slots. RESTART (rules.preempt):
// not written, progress is kept. On success `retired`, if set, is a table whose references the old entry held
// and whose last use could not be given up without interruption: the caller holds them now (put_table_refs).
Result<> set_upper_entry(LockedTable& table, unsigned index, Pte value, const TableRules& rules,
                         Frame*& retired, KeepBits keep = KeepBits::no);

}  // namespace domus
