// SPDX-License-Identifier: GPL-2.0-or-later
// What an entry of a guest's page table holds: taken before the entry is written, given up after it is gone.
//
// An entry is written by the guest as if its kernel ran in ring 0. A 64-bit one's runs in ring 3, so every
// present entry gets the user bit; kernel and user mode are kept apart by their level 4 tables. A 32-bit
// one's runs in ring 1 and its entries keep what they say, but for its root's: what hardware of its kind does
// not look at there would forbid everything. The global bit is taken away, so that loading CR3 drops all of a
// guest's translations.
#pragma once

#include "mm/page_type.hpp"
#include "mm/write_log.hpp"
#include "port/memory.hpp"

namespace domus {

constexpr Pte guest_entry(Pte e, u64 forced) { return e.present() ? Pte((e.v | forced) & ~Pte::kGlobal) : e; }
constexpr u64 forced_flags(PageType table, const TableRules& rules) {
    return table == PageType::l3_pae ? Pte::kUser | Pte::kWritable : rules.forced;
}

inline Pte load_entry(const Pte& e) { return Pte(__atomic_load_n(&e.v, __ATOMIC_RELAXED)); }
inline void store_entry(Pte& e, Pte v) { __atomic_store_n(&e.v, v.v, __ATOMIC_RELEASE); }

namespace detail {
Result<> get_l1_slow(Pte e, DomId from, const TableRules& rules);
}

// References of a present level 1 entry to a page of `from`'s: the table's owner itself, or one whose memory
// it may map. EINVAL: flags. EBUSY: another's page, or none to be written. EPERM: no RAM, and not permitted.
inline Result<> get_l1_refs(Pte e, DomId from, const TableRules& rules) {
    const Mfn m = e.mfn();
    if ((e.v & rules.forbidden) == 0 && frame_valid(m)) [[likely]] {
        Frame& f = frame_of(m);
        if (get_ref(f, from)) [[likely]] {
            if (!e.writable()) return {};
            if (get_writable(f)) [[likely]] {
                if (from != rules.owner) [[unlikely]]
                    outside_writer_begins(f);
                return {};
            }
            put_ref(f);
        }
    }
    return detail::get_l1_slow(e, from, rules);
}

// `by`: the table's owner.
inline void put_l1_refs(Pte e, DomId by) {
    const Mfn m = e.mfn();
    if (!frame_valid(m)) [[unlikely]]
        return;  // device memory
    Frame& f = frame_of(m);
    if (e.writable()) {
        if (f.owner != by) [[unlikely]]
            outside_writer_ends(f);
        put_writable(f);
    }
    put_ref(f);
}

// References of a present entry of a level 2 to 4 table. As get_page_type for the table below, which is of
// type `below`.
Result<> get_table_refs(Pte e, PageType below, const TableRules& rules);
// RESTART (Preempt::yes only): both references are still held.
Result<> put_table_refs(Pte e, Preempt preempt);

}  // namespace domus
