// SPDX-License-Identifier: GPL-2.0-or-later
// Mirrors: page tables of the hypervisor's own that a PV guest's CPUs walk instead of the guest's while the
// pages it writes are logged. A guest reads its tables, and must find in them what it wrote and the accessed
// and dirty bits that the CPU sets; in a mirror the right to write can be taken away unseen.
//
// A mirror is a cache. It starts empty, is filled by page faults, and may be emptied at any time. Filling
// acts as the CPU's own walk would: it sets accessed and dirty bits in the guest's tables. Whoever writes an
// entry of a guest's table says so (mm/write_log.hpp) before the references of the old entry are given up,
// and the mirror drops what it made of it; both hold this lock, so nothing in a mirror outlives the
// references that make it safe.
//
// Frames that leave a mirror wait until the whole is emptied and TLBs are flushed: a CPU may remember an
// upper entry that points to one.
#pragma once

#include "arch_state/pte.hpp"
#include "base/result.hpp"
#include "mm/box.hpp"
#include "port/lock.hpp"
#include "port/tlb.hpp"

namespace domus::core {

// Whose pages, and what to do about a page that is going to be written. No lock but the mirror's is held.
class PageLog {
  public:
    // The frame, which need not be RAM, is mapped writable from now on.
    virtual void written(Mfn frame) = 0;
    // Whether it counts as written already, so that nothing is missed by mapping it writable.
    virtual bool is_written(Mfn frame) const = 0;

  protected:
    ~PageLog() = default;
};

class MirrorTables {
  public:
    enum class Fault : u8 {
        resolved,    // the access is allowed, and the mirror has it now
        absent,      // the guest maps nothing there
        protection,  // the guest's tables do not allow it
    };
    struct Access {
        bool write = false, fetch = false;
    };
    // An address space in use: a level 4 table of the guest's, and its mirror.
    struct Root {
        Mfn guest = kNoMfn, mirror = kNoMfn;
    };
    static constexpr u32 kLeastTables = 64;

    // `roots` address spaces at a time and `tables` frames for all levels below. RESTART: call again,
    // progress is kept. ENOMEM: nothing is kept.
    Result<> create(DomId domain, u32 roots, u32 tables);
    void destroy();

    // The mirror of a level 4 table that the caller holds as one, to be loaded: from now on root `number` is
    // it. It shows what the table has in the hypervisor's slots.
    Mfn enter(u32 number, Mfn guest_root);

    // A page fault at a guest's address in the address space of root `number`. Spurious faults are resolved.
    Fault resolve(u32 number, Vaddr va, Access access, PageLog& log);

    // Entry `index` of a table of this level has been written, or the table is none any more. Whoever found
    // the log on may be late and say so of a mirror that is none any more.
    void entry_written(Mfn table, unsigned level, unsigned index);
    void table_ends(Mfn table);

    // Forgets everything; `locked` is called with the mirror's lock held, between two states in which nothing
    // is resolved. The domain's CPUs are flushed before the first frame is used anew.
    template <class F>
    void forget(F&& locked) {
        LockGuard guard(lock_);
        empty();
        locked();
        port::flush_domain(domain_);
    }
    // For state that belongs together with the mirror's.
    SpinLock& lock() { return lock_; }

    u32 tables_in_use() const { return pages_made_ - free_count_; }

  private:
    static constexpr u32 kNone = ~u32{0};
    struct Table {
        u32 frame = 0;
        u32 guest = 0;     // the guest's table that it mirrors
        u32 next = kNone;  // in its bucket, or in the list of free ones
    };

    u32 find(Mfn guest) const;
    u32 add(Mfn guest);  // kNone: none is free
    void empty();
    u32& bucket(u64 guest) const { return buckets_[guest * 0x9e3779b97f4a7c15u >> shift_]; }

    DomId domain_{};
    Array<Root> roots_;
    Array<Table> tables_;
    Array<u32> buckets_;
    unsigned shift_ = 0;
    u32 roots_made_ = 0, pages_made_ = 0;
    u32 free_ = kNone, free_count_ = 0;
    SpinLock lock_{Rank::write_log};
};

}  // namespace domus::core
