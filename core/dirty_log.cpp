// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/dirty_log.hpp"

#include <algorithm>

#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "mm/page_type.hpp"
#include "mm/write_log.hpp"
#include "port/cpu.hpp"
#include "port/tlb.hpp"

namespace domus::core {

namespace {

// The domain's number for a frame: its own word, and not to be trusted.
u64 page_of(Mfn frame) { return __atomic_load_n(port::m2p_base() + frame.v, __ATOMIC_RELAXED); }

DirtyLog* log_of(const Frame& f) {
    Domain* d = find_domain(detail::owner_hint(f));
    return d != nullptr && d->dirty_log.on() ? &d->dirty_log : nullptr;
}

void note_page(Frame& page) {
    if (DirtyLog* log = log_of(page)) log->page_written(page);
}

void note_entry(Frame& table, unsigned index) {
    DirtyLog* log = log_of(table);
    if (log == nullptr) return;
    log->written(mfn_of(table));
    const PageType type = TypeWord{table.type.load(std::memory_order_relaxed)}.type();
    if (is_table(type)) log->mirror.entry_written(mfn_of(table), level_of(type), index);
}

void note_end(Frame& table) {
    if (DirtyLog* log = log_of(table)) log->mirror.table_ends(mfn_of(table));
}

void note_held(Frame& page) {
    if (DirtyLog* log = log_of(page)) log->page_held(page);
}

}  // namespace

void init_dirty_log() {
    set_write_log_hooks(
        {.written = note_page, .entry_written = note_entry, .table_ends = note_end, .held = note_held});
}

Result<> DirtyLog::begin(Domain& d) {
    if (state_ == State::on) return fail(Error::inval);
    if (state_ == State::off) {
        domain_ = d.id;
        // Twice the numbers it uses: what it gets meanwhile. It says itself which it uses, for holes; not
        // more than costs a hundredth of its memory.
        constexpr u64 kMostHoles = 100;
        const u64 total = d.pages.total, said = __atomic_load_n(&d.shared->arch.max_pfn, __ATOMIC_RELAXED);
        most_ = 2 * (said > total && said < kMostHoles * total ? said : total) + 1024;
        state_ = State::making;
    }
    if (state_ == State::making) {
        if (auto r = make(d); !r) {
            if (r.error() != Error::restart) end(d);
            return r;
        }
        pause_domain_sync(d);
        for_each_vcpu(d, [](Vcpu& v) { v.pv.mirrored = true; });
        on_.store(true);
        logged_domains.fetch_add(1);
        port::flush_everything();
        unpause_domain(d);
        state_ = State::scanning;
        LockGuard guard(d.pages.lock);
        scan_at_ = d.pages.first;
        while (scan_at_ != kNoFrameLink && !get_ref(frame_of(Mfn(scan_at_)), d.id))
            scan_at_ = frame_of(Mfn(scan_at_)).next;
    }
    TRY(scan(d));
    state_ = State::on;
    return {};
}

Result<> DirtyLog::make(Domain& d) {
    for (DirtyBits& b : bits_) TRY(b.grow(most_));
    TRY(held_bits_.grow(most_));
    constexpr usize kMostHeld = 32 * kKiB;
    if (held_.size() == 0)
        held_ = TRY(make_array<Held>(std::clamp<usize>(d.pages.total / 8, 1024, kMostHeld)));
    u32 vcpus = 0;
    for_each_vcpu(d, [&](Vcpu& v) { vcpus = std::max(vcpus, v.id.v + 1); });
    if (vcpus != d.max_vcpus) return fail(Error::inval);  // not made yet
    constexpr u64 kMostTables = 8 * kKiB;
    const u64 tables = std::clamp<u64>(d.pages.total / 128, 4 * MirrorTables::kLeastTables, kMostTables);
    return mirror.create(d.id, 2 * vcpus, static_cast<u32>(tables));
}

// Finds the pages that have outside writers already; later ones tell themselves. The page at scan_at_ is
// held, and with that stays in the list.
Result<> DirtyLog::scan(Domain& d) {
    constexpr u32 kStep = 4096;
    while (scan_at_ != kNoFrameLink) {
        const u32 first = scan_at_;
        {
            LockGuard guard(d.pages.lock);
            u32 at = first;
            for (u32 n = 0; at != kNoFrameLink && n < kStep; n++) {
                Frame& f = frame_of(Mfn(at));
                if (outside_writers(f) != 0) page_held(f);
                at = f.next;
            }
            // One whose last reference is just going leaves the list by itself.
            while (at != kNoFrameLink && !get_ref(frame_of(Mfn(at)), d.id)) at = frame_of(Mfn(at)).next;
            scan_at_ = at;
        }
        put_ref(frame_of(Mfn(first)));
        if (scan_at_ != kNoFrameLink && port::preempt_wanted()) return fail(Error::restart);
    }
    return {};
}

void DirtyLog::end(Domain& d) {
    if (state_ == State::off) return;
    if (on()) {
        pause_domain_sync(d);
        for_each_vcpu(d, [](Vcpu& v) { v.pv.mirrored = false; });
        on_.store(false);
        logged_domains.fetch_sub(1);
        // Nobody who found it on is still at it afterwards.
        port::flush_everything();
    }
    mirror.destroy();
    for (DirtyBits& b : bits_) b.reset();
    held_bits_.reset();
    held_.reset();
    held_count_ = 0;
    held_too_many_ = false;
    untold_ = false;
    untold_at_ = 0;
    if (scan_at_ != kNoFrameLink) put_ref(frame_of(Mfn(std::exchange(scan_at_, kNoFrameLink))));
    const bool was_on = state_ == State::on || state_ == State::scanning;
    state_ = State::off;
    if (was_on) unpause_domain(d);
}

Result<> DirtyLog::next_round() {
    constexpr u64 kStep = 256;
    const u64 first = untold_at_;
    for (; untold_ && untold_at_ < limit() / 64; untold_at_++) {
        if (untold_at_ % kStep == 0 && untold_at_ != first && port::preempt_wanted())
            return fail(Error::restart);
        const u64 left = bits_[1 - round()].word(untold_at_);
        if (left == 0) continue;
        bits_[round()].set_word(untold_at_, left);
        bits_[1 - round()].clear_word(untold_at_, left);
    }
    untold_ = true;
    untold_at_ = 0;
    mirror.forget([&] {
        const unsigned ending = round();
        // What may be written at any time was written in this round, and in the next if it still can be. One
        // that can no longer has, after the flush below, nobody's translation left.
        for (usize i = 0; i < held_count_;) {
            Held& h = held_[i];
            bits_[ending].set(h.page);
            bits_[ending].set(page_of(Mfn(h.frame)));
            if (outside_writers(frame_of(Mfn(h.frame))) != 0) {
                i++;
                continue;
            }
            held_bits_.clear(h.page);
            h = held_[--held_count_];
        }
        round_.store(1 - ending, std::memory_order_seq_cst);
    });
    // Every CPU: also those that run others who map its pages, or that are just noting a write for the old
    // round.
    port::flush_everything();
    return {};
}

void DirtyLog::written(Mfn frame) {
    if (!frame_valid(frame)) return;
    Frame& f = frame_of(frame);
    // Another domain's page that is mapped here to be written has an outside writer: that domain's log knows.
    if (detail::owner_hint(f) == domain_) bits_[round()].set(page_of(frame));
}

bool DirtyLog::is_written(Mfn frame) const {
    if (!frame_valid(frame) || detail::owner_hint(frame_of(frame)) != domain_) return true;
    const u64 page = page_of(frame);
    return page >= limit() || bits_[round()].test(page);
}

void DirtyLog::page_written(Frame& page) {
    bits_[round()].set(page_of(mfn_of(page)));
    // Perhaps it has just got its number.
    if (outside_writers(page) != 0) page_held(page);
}

void DirtyLog::page_held(Frame& page) {
    LockGuard guard(mirror.lock());
    if (on()) hold(mfn_of(page));
}

void DirtyLog::hold(Mfn frame) {
    const u64 page = page_of(frame);
    bits_[round()].set(page);
    if (!held_bits_.set(page)) return;
    if (held_count_ == held_.size()) {
        held_too_many_ = true;
        return;
    }
    held_[held_count_++] = {static_cast<u32>(frame.v), static_cast<u32>(page)};
}

Mfn walked_root(Vcpu& v, Mfn root, bool kernel) {
    return v.domain->dirty_log.mirror.enter(2 * v.id.v + (kernel ? 0 : 1), root);
}

MirrorTables::Fault mirror_fault(Vcpu& v, Vaddr va, MirrorTables::Access access) {
    DirtyLog& log = v.domain->dirty_log;
    return log.mirror.resolve(2 * v.id.v + (v.pv.in_kernel ? 0 : 1), va, access, log);
}

}  // namespace domus::core
