// SPDX-License-Identifier: GPL-2.0-or-later
// The log of the pages that a PV domain, or anybody for it, has written: exact, for live migration. How it
// works as a whole is told in docs/life-of-a-migration.md.
#pragma once

#include <atomic>

#include "core/dirty_bits.hpp"
#include "core/mirror_tables.hpp"
#include "mm/frame.hpp"

namespace domus {
struct Domain;
struct Vcpu;
}  // namespace domus

namespace domus::core {

class DirtyLog final : public PageLog {
  public:
    bool on() const { return on_.load(std::memory_order_relaxed); }

    // Starts with an empty log. The caller is no vCPU of d, and calls one at a time. RESTART: call again.
    // ENOMEM: not begun, nothing is kept.
    Result<> begin(Domain& d);
    // Ends it, or what there is of it.
    void end(Domain& d);

    // A round ends: what was written up to now is in the finished round, and what is written from now on in
    // the next. What the last finished round still had is in this one, unless all was told that anybody wants
    // to know. RESTART: call again.
    Result<> next_round();
    void round_told() { untold_ = false; }

    // 64 pages of the finished round; of both rounds, with what outsiders may be writing right now. Pages
    // that have no bit count as written.
    u64 finished(u64 word) const { return has(word) ? bits_[1 - round()].word(word) : ~u64{0}; }
    u64 so_far(u64 word) const {
        return has(word) ? bits_[0].word(word) | bits_[1].word(word) | held_bits_.word(word) : ~u64{0};
    }
    void forget_finished(u64 word, u64 bits) { bits_[1 - round()].clear_word(word, bits); }
    u64 limit() const { return held_bits_.limit(); }  // pages from here on have no bit

    // PageLog; `frame` is any that the domain's tables can name.
    void written(Mfn frame) override;
    bool is_written(Mfn frame) const override;

    // The hooks of mm/write_log.hpp.
    void page_written(Frame& page);
    void page_held(Frame& page);

    MirrorTables mirror;

  private:
    struct Held {
        u32 frame = 0, page = 0;  // the machine's number and the domain's
    };
    enum class State : u8 { off, making, scanning, on };

    bool has(u64 word) const { return word * 64 < limit() && !held_too_many_; }
    Result<> make(Domain& d);
    Result<> scan(Domain& d);
    unsigned round() const { return round_.load(std::memory_order_relaxed); }
    void hold(Mfn frame);

    DomId domain_{};
    State state_ = State::off;
    std::atomic<bool> on_{false};
    std::atomic<unsigned> round_{0};
    DirtyBits bits_[2];
    // Pages with outside writers, under the mirror's lock; held_bits_ says which are in the list.
    DirtyBits held_bits_;
    Array<Held> held_;
    usize held_count_ = 0;
    bool untold_ = false;         // the finished round may have something left …
    u64 untold_at_ = 0;           // … from this word on
    bool held_too_many_ = false;  // any page may have one: every round is whole
    u64 most_ = 0;                // pages that need a bit
    u32 scan_at_ = kNoFrameLink;  // the next page to look at, held by a reference
};

// Sets the hooks. Called once by init().
void init_dirty_log();

// Which level 4 table the CPU shall load in place of a vCPU's `root`, of its kernel or user mode, while
// PvVcpu::mirrored.
Mfn walked_root(Vcpu& v, Mfn root, bool kernel);

// A page fault at a guest's address, in the address space that the vCPU uses, while PvVcpu::mirrored.
MirrorTables::Fault mirror_fault(Vcpu& v, Vaddr va, MirrorTables::Access access);

}  // namespace domus::core
