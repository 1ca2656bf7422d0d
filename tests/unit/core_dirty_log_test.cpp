// SPDX-License-Identifier: GPL-2.0-or-later
// The log of dirty pages against a CPU with a TLB that walks the mirrors: no write is missed, nothing is
// allowed that the guest's tables do not allow, and the guest's tables get the bits that the CPU would set.
#include "core/dirty_log.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "core/pages.hpp"
#include "core_fixture.hpp"
#include "mm/page_type.hpp"
#include "mm/table_update.hpp"
#include "mm/write_log.hpp"
#include "pv/m2p.hpp"
#include "pv/mmu.hpp"

namespace domus {
namespace {

using core::MirrorTables;
using Fault = MirrorTables::Fault;

constexpr u64 kRw = Pte::kPresent | Pte::kWritable, kRo = Pte::kPresent;
constexpr Mfn kMmio{0x7fff};  // beyond RAM

class DirtyLogTest : public CoreTest {
  protected:
    static constexpr unsigned kPages = 60;

    DirtyLogTest() {
        hypervisor_slots = {};
        hypervisor_slots[0] = Pte(Mfn(7), kRo | Pte::kUser);
    }
    void SetUp() override {
        CoreTest::SetUp();
        guest = &make_domain(1, 2);
        other = &make_domain(2, 1);
        fakes::context.drop_context = [](Vcpu& v) { return pv::drop_tables(v); };
        for (unsigned i = 0; i < kPages; i++) {
            pages.push_back(*core::allocate_pages(*guest, 0, {.scrub = true}));
            pv::set_m2p(pages[i], i);
        }
    }
    void TearDown() override {
        pages.clear();
        CoreTest::TearDown();
        EXPECT_EQ(logged_domains.load(), 0u);
        hypervisor_slots = {};
    }

    static Pte* table(Mfn m) { return port::frame_ptr<Pte>(m); }
    static TypeWord type_of(Mfn m) { return TypeWord{frame_of(m).type.load()}; }
    core::DirtyLog& log() const { return guest->dirty_log; }
    void begin() {
        Result<> r = log().begin(*guest);
        while (!r && r.error() == Error::restart) r = log().begin(*guest);
        ASSERT_TRUE(r);
    }
    // Ends a round: which of the domain's pages were written in it.
    std::vector<bool> round() {
        while (!log().next_round()) {}
        std::vector<bool> dirty(kPages);
        for (unsigned i = 0; i < kPages; i++) dirty[i] = (log().finished(i / 64) >> (i % 64) & 1) != 0;
        for (u64 w = 0; w < log().limit() / 64; w++) log().forget_finished(w, ~u64{0});
        return dirty;
    }
    static unsigned count(const std::vector<bool>& v) {
        return static_cast<unsigned>(std::ranges::count(v, true));
    }

    Domain* guest = nullptr;
    Domain* other = nullptr;
    std::vector<Mfn> pages;
};

// A CPU that runs one vCPU of the guest in kernel mode.
class Cpu {
  public:
    Cpu(fakes::Machine& machine, Vcpu& v) : machine_(machine), v_(v) {}

    // As context switches and MMUEXT_NEW_BASEPTR do.
    void load_root() {
        tlb_.clear();
        root_ = v_.pv.mirrored ? core::walked_root(v_, v_.pv.kernel_table, true) : v_.pv.kernel_table;
    }

    struct Leaf {
        Pte* at = nullptr;
        bool writable = true, executable = true;
    };
    static std::optional<Leaf> walk(Mfn root, Vaddr va) {
        Leaf leaf;
        for (unsigned level = 4; level >= 1; level--) {
            leaf.at = port::frame_ptr<Pte>(root) + table_index(va, level);
            if (!leaf.at->present()) return std::nullopt;
            leaf.writable &= leaf.at->writable();
            leaf.executable &= (leaf.at->v & Pte::kNoExecute) == 0;
            root = leaf.at->mfn();
        }
        return leaf;
    }
    static bool allowed(const std::optional<Leaf>& l, MirrorTables::Access a) {
        return l && (!a.write || l->writable) && (!a.fetch || l->executable);
    }

    // Returns the frame that the access reached.
    std::optional<Mfn> access(Vaddr va, MirrorTables::Access a) {
        const u64 flushes = machine_.domain_flushes + machine_.full_flushes + machine_.page_flushes;
        if (flushes != flushes_) tlb_.clear();
        flushes_ = flushes;
        if (const auto known = tlb_.find(va.v); known != tlb_.end() && (!a.write || known->second.writable) &&
                                                (!a.fetch || known->second.executable))
            return known->second.frame;
        for (int tries = 0; tries < 3; tries++) {
            const auto leaf = walk(root_, va);
            if (allowed(leaf, a)) {
                if (!v_.pv.mirrored) {
                    leaf->at->v |= Pte::kAccessed | (a.write ? Pte::kDirty : 0);
                }
                // The CPU keeps the right to write only of what it has written.
                tlb_[va.v] = {leaf->at->mfn(), leaf->writable && (leaf->at->v & Pte::kDirty) != 0,
                              leaf->executable};
                return leaf->at->mfn();
            }
            const auto own = walk(v_.pv.kernel_table, va);
            if (!v_.pv.mirrored) {
                EXPECT_FALSE(allowed(own, a));
                return std::nullopt;
            }
            const Fault fault = core::mirror_fault(v_, va, a);
            if (fault != Fault::resolved) {
                EXPECT_FALSE(allowed(own, a));
                EXPECT_EQ(fault == Fault::protection, own.has_value());
                return std::nullopt;
            }
            EXPECT_TRUE(allowed(own, a));
            EXPECT_NE(own->at->v & Pte::kAccessed, 0u);
            if (a.write) {
                EXPECT_NE(own->at->v & Pte::kDirty, 0u);
            }
            // Filling may have emptied the mirror, and with that flushed.
            if (machine_.domain_flushes + machine_.full_flushes + machine_.page_flushes != flushes_)
                tlb_.clear();
        }
        ADD_FAILURE() << "a resolved fault comes again at " << std::hex << va.v;
        return std::nullopt;
    }

  private:
    struct Entry {
        Mfn frame;
        bool writable, executable;
    };
    fakes::Machine& machine_;
    Vcpu& v_;
    Mfn root_ = kNoMfn;
    std::map<u64, Entry> tlb_;
    u64 flushes_ = 0;
};

// A guest with two level 4 tables, and random doings.
class DirtyLogModel : public DirtyLogTest {
  protected:
    void SetUp() override {
        DirtyLogTest::SetUp();
        // Pages 0 and 1 are roots, 2 and 3 of level 3, 4 and 5 of level 2, 6 to 9 of level 1.
        for (unsigned i = 0; i < 2; i++) {
            table(pages[i])[0] = Pte(pages[2], kRw);
            table(pages[i])[300] = Pte(pages[2 + i], kRw);
            table(pages[2 + i])[0] = Pte(pages[4], kRw);
            table(pages[2 + i])[1] = Pte(pages[4 + i], kRw);
            table(pages[4 + i])[0] = Pte(pages[6 + 2 * i], kRw);
            table(pages[4 + i])[1] = Pte(pages[7 + 2 * i], kRw);
        }
        for (unsigned i = 0; i < 4; i++)
            for (unsigned k = 0; k < 8; k++) table(pages[6 + i])[k] = Pte(pages[10 + 8 * i + k], kRw);
        for (unsigned i = 0; i < 2; i++) {
            ASSERT_TRUE(pv::set_kernel_table(vcpu(*guest, i), pages[i], false));
            ASSERT_TRUE(pin_page(frame_of(pages[i]), PageType::l4, {.owner = guest->id}));
        }
        // The other domain's table, in which it maps the guest's pages.
        foreign_table = *core::allocate_pages(*other, 0, {.scrub = true});
        ASSERT_TRUE(pin_page(frame_of(foreign_table), PageType::l1, {.owner = other->id}));
        for (Mfn m : pages) image.emplace_back(snapshot(m));
    }

    u64 below(u64 n) { return random() % n; }
    static std::vector<u8> snapshot(Mfn m) {
        const u8* p = port::frame_ptr<u8>(m);
        return {p, p + kPageSize};
    }
    Vaddr address() {
        const u64 i4 = below(2) == 0 ? 0 : 300, i3 = below(2), i2 = below(2), i1 = below(9);
        const u64 raw = i4 << 39 | i3 << 30 | i2 << 21 | i1 << 12;
        return Vaddr(raw | (i4 >= 256 ? u64{0xffff} << 48 : 0));
    }
    void scribble(Mfn m) {
        // Nothing may lead the guest to write what the CPU trusts, or another's page.
        ASSERT_EQ(frame_of(m).owner, guest->id);
        ASSERT_EQ(type_of(m).type(), PageType::writable) << m.v;
        port::frame_ptr<u64>(m)[below(512)] = random();
    }
    void access(unsigned cpu) {
        const u64 what = below(8);
        const MirrorTables::Access a{.write = what < 4, .fetch = what == 7};
        const Vaddr va = address();
        const auto reached = cpus[cpu].access(va, a);
        if (reached && a.write) scribble(*reached);
    }
    void update() {
        const Mfn t = pages[below(10)];
        auto locked = LockedTable::lock(frame_of(t));
        if (!locked) return;
        static constexpr unsigned kL4[] = {0, 300};
        const auto index =
            locked->level() == 4 ? kL4[below(2)] : static_cast<unsigned>(below(locked->level() == 1 ? 9 : 2));
        Pte value(below(4) == 0 ? pages[below(kPages)] : locked->entries()[index].mfn(),
                  (below(3) == 0 ? kRo : kRw) | (below(6) == 0 ? Pte::kNoExecute : 0) |
                      (below(3) == 0 ? Pte::kAccessed | Pte::kDirty : 0));
        if (locked->level() > 1) {
            const unsigned first[] = {0, 6, 4, 2, 0};
            value =
                Pte(pages[first[locked->level() - 1] + below(locked->level() == 2 ? 4 : 2)], value.flags());
        }
        if (below(6) == 0) value = Pte(below(2) == 0 ? 0 : 0xabcd00);
        const TableRules rules{.owner = guest->id};
        const KeepBits keep = below(4) == 0 ? KeepBits::accessed_dirty : KeepBits::no;
        Frame* retired = nullptr;
        if (locked->level() > 1) {
            static_cast<void>(set_upper_entry(*locked, index, value, rules, retired, keep));
            ASSERT_EQ(retired, nullptr);
        } else if (below(3) == 0) {
            static_cast<void>(
                exchange_l1_entry(*locked, index, locked->entries()[index], value, guest->id, rules));
        } else {
            static_cast<void>(set_l1_entry(*locked, index, value, guest->id, rules, keep));
        }
        // As a guest does that changes a table: what it does not flush may live on.
        if (below(2) == 0) port::flush_domain(guest->id);
    }
    void pin() {
        const unsigned i = static_cast<unsigned>(below(10));
        Frame& f = frame_of(pages[i]);
        const unsigned level = i < 2 ? 4 : i < 4 ? 3 : i < 6 ? 2 : 1;
        if (i < 2) return;
        if (type_of(pages[i]).has(TypeWord::kPinned))
            static_cast<void>(unpin_page(f, Preempt::no));
        else
            static_cast<void>(pin_page(f, table_type(level), {.owner = guest->id}));
    }
    // Another domain maps pages, and writes where it may.
    void outsider() {
        const auto index = static_cast<unsigned>(below(4));
        const Pte e = table(foreign_table)[index];
        if (e.present() && e.writable() && below(3) != 0) return scribble(e.mfn());
        auto locked = LockedTable::lock(frame_of(foreign_table));
        ASSERT_TRUE(locked);
        const Pte value =
            below(3) == 0 ? Pte()
                          : Pte(below(2) == 0 ? e.mfn() : pages[below(kPages)], below(4) == 0 ? kRo : kRw);
        static_cast<void>(set_l1_entry(*locked, index, value, guest->id, {.owner = other->id}));
    }
    void copy_in() {
        Frame& f = frame_of(pages[below(kPages)]);
        if (!get_ref(f, guest->id)) return;
        if (get_writable(f)) {
            scribble(mfn_of(f));
            note_written(f);
            put_writable(f);
        }
        put_ref(f);
    }
    void switch_root(unsigned cpu) {
        static_cast<void>(pv::set_kernel_table(vcpu(*guest, cpu), pages[below(2)], false));
        cpus[cpu].load_root();
    }
    void something() {
        const auto cpu = static_cast<unsigned>(below(2));
        switch (below(16)) {
            case 0:
            case 1:
            case 2: return update();
            case 3: return below(4) == 0 ? pin() : outsider();
            case 4: return below(3) == 0 ? switch_root(cpu) : copy_in();
            default: return access(cpu);
        }
    }
    void send(const std::vector<bool>& dirty) {
        for (unsigned i = 0; i < kPages; i++)
            if (dirty[i]) image[i] = snapshot(pages[i]);
    }
    void expect_same() {
        for (unsigned i = 0; i < kPages; i++)
            ASSERT_EQ(std::memcmp(image[i].data(), port::frame_ptr<u8>(pages[i]), kPageSize), 0)
                << "page " << i;
    }

    std::mt19937_64 random{20231};
    Mfn foreign_table = kNoMfn;
    std::vector<std::vector<u8>> image;
    std::vector<Cpu> cpus;
};

TEST_F(DirtyLogModel, AnImageMadeOfTheRoundsIsTheMemory) {
    for (int life = 0; life < 12; life++) {
        cpus.clear();
        for (unsigned i = 0; i < 2; i++) cpus.emplace_back(machine, vcpu(*guest, i)).load_root();
        for (int i = 0; i < 400; i++) something();
        begin();
        for (Cpu& cpu : cpus) cpu.load_root();
        send(std::vector<bool>(kPages, true));
        for (int rounds = 0; rounds < 12; rounds++) {
            for (u64 i = below(600); i > 0; i--) ASSERT_NO_FATAL_FAILURE(something());
            const auto dirty = round();
            for (u64 i = below(100); i > 0; i--) ASSERT_NO_FATAL_FAILURE(something());
            send(dirty);
        }
        // The guest stops; what outsiders map they go on with until they are told to stop.
        send(round());
        for (unsigned i = 0; i < 4; i++) {
            auto locked = LockedTable::lock(frame_of(foreign_table));
            ASSERT_TRUE(set_l1_entry(*locked, i, Pte(), guest->id, {.owner = other->id}));
        }
        send(round());
        expect_same();
        EXPECT_EQ(count(round()), 0u) << "nothing was written since";
        log().end(*guest);
    }
    EXPECT_GT(machine.domain_flushes, 0u);
}

TEST_F(DirtyLogModel, OnlyWhatIsWrittenIsDirty) {
    begin();
    cpus.emplace_back(machine, vcpu(*guest, 0)).load_root();
    const auto at = [](u64 page) { return Vaddr(page << 12); };
    static_cast<void>(round());
    ASSERT_TRUE(cpus[0].access(at(1), {}));
    // The first look sets accessed bits in the four tables on the way, and no more.
    const auto looked = round();
    for (unsigned i = 0; i < kPages; i++) EXPECT_EQ(looked[i], i == 0 || i == 2 || i == 4 || i == 6) << i;
    ASSERT_TRUE(cpus[0].access(at(1), {}));
    EXPECT_EQ(count(round()), 0u);
    ASSERT_TRUE(cpus[0].access(at(2), {.write = true}));
    auto wrote = round();
    EXPECT_TRUE(wrote[6] && wrote[12]);  // the dirty bit, and the page
    EXPECT_EQ(count(wrote), 2u);
    ASSERT_TRUE(cpus[0].access(at(2), {.write = true}));
    wrote = round();
    EXPECT_TRUE(wrote[12]);
    EXPECT_EQ(count(wrote), 1u);
    log().end(*guest);
}

TEST_F(DirtyLogModel, WhatOthersMapIsDirtyInEachRoundAndInTheOneThatEndsIt) {
    const auto map = [&](Pte e) {
        auto locked = LockedTable::lock(frame_of(foreign_table));
        ASSERT_TRUE(set_l1_entry(*locked, 0, e, guest->id, {.owner = other->id}));
    };
    map(Pte(pages[50], kRw));
    ASSERT_TRUE(core::hold_writable_page(*guest, pages[51]));
    EXPECT_EQ(outside_writers(frame_of(pages[50])), 1u);
    begin();
    static_cast<void>(round());
    for (int i = 0; i < 3; i++) {
        const auto dirty = round();
        EXPECT_TRUE(dirty[50] && dirty[51]);
        EXPECT_EQ(count(dirty), 2u);
    }
    map(Pte(pages[50], kRo));
    core::release_writable_page(pages[51]);
    EXPECT_EQ(count(round()), 2u);
    EXPECT_EQ(count(round()), 0u);
    map(Pte(pages[50], kRw));
    map(Pte());
    EXPECT_TRUE(round()[50]);
    EXPECT_EQ(count(round()), 0u);
    EXPECT_EQ(outside_writers(frame_of(pages[50])), 0u);
    log().end(*guest);
}

TEST_F(DirtyLogModel, PagesWithoutABitCountAsWritten) {
    begin();
    static_cast<void>(round());
    const u64 beyond = log().limit() / 64;
    EXPECT_EQ(log().finished(beyond), ~u64{0});
    EXPECT_EQ(log().so_far(beyond), ~u64{0});
    pv::set_m2p(pages[20], ~u64{0});
    note_written(frame_of(pages[20]));
    ASSERT_TRUE(core::hold_writable_page(*guest, pages[20]));
    // It gets its number while somebody can write it.
    pv::set_m2p(pages[20], 20);
    EXPECT_TRUE(round()[20]);
    EXPECT_TRUE(round()[20]);
    core::release_writable_page(pages[20]);
    log().end(*guest);
}

TEST_F(DirtyLogModel, BeginningIsPreemptibleAndFailsWhole) {
    const u64 free = heap_free_frames();
    for (u64 n = 0;; n++) {
        ASSERT_LT(n, 2000u);
        heap_fail_after(n);
        Result<> r = log().begin(*guest);
        if (r) break;
        EXPECT_EQ(r.error(), Error::nomem);
        EXPECT_EQ(heap_free_frames(), free);
        EXPECT_EQ(logged_domains.load(), 0u);
        if (n > 20) n += 16;
    }
    heap_fail_after(~u64{0});
    log().end(*guest);
    EXPECT_EQ(heap_free_frames(), free);
    machine.preempt = true;
    EXPECT_ERROR(log().begin(*guest), restart);
    begin();
    machine.preempt = false;
    log().end(*guest);
    EXPECT_EQ(heap_free_frames(), free);
    // A beginning that nobody goes on with ends with the domain.
    machine.preempt = true;
    EXPECT_ERROR(log().begin(*guest), restart);
    machine.preempt = false;
}

// A CPU may remember an upper entry that leads to a mirror's frame, which another may want for another table.
TEST_F(DirtyLogModel, FramesOfTheMirrorAreFlushedBeforeTheyAreUsedAnew) {
    begin();
    const u64 flushes = machine.domain_flushes, full = machine.full_flushes;
    ASSERT_TRUE(log().next_round());
    EXPECT_GT(machine.domain_flushes, flushes) << "with the mirror's lock held";
    EXPECT_GT(machine.full_flushes, full) << "after that";
    log().end(*guest);
}

// Whoever has found the log on may wait for the mirror's lock while it ends.
TEST_F(DirtyLogModel, ALateNoteFindsNoMirror) {
    begin();
    log().end(*guest);
    log().mirror.entry_written(pages[4], 2, 0);
    log().mirror.entry_written(pages[0], 4, 0);
    log().mirror.table_ends(pages[4]);
    EXPECT_EQ(log().mirror.tables_in_use(), 0u);
}

TEST_F(DirtyLogModel, WhatWasNotToldIsCarriedOverInSteps) {
    begin();
    static_cast<void>(round());
    note_written(frame_of(pages[20]));
    ASSERT_TRUE(log().next_round());
    // Nobody has been told of that round.
    machine.preempt = true;
    int steps = 0;
    Result<> r = log().next_round();
    for (; !r && steps < 100; steps++) {
        EXPECT_EQ(r.error(), Error::restart);
        EXPECT_NE(log().so_far(0) >> 20 & 1, 0u);
        r = log().next_round();
    }
    machine.preempt = false;
    EXPECT_GE(steps, 1);
    EXPECT_TRUE(r);
    EXPECT_NE(log().finished(0) >> 20 & 1, 0u);
    log().end(*guest);
}

TEST_F(DirtyLogModel, ADomainMayDieWhileItIsLogged) {
    begin();
    cpus.emplace_back(machine, vcpu(*guest, 0)).load_root();
    ASSERT_TRUE(cpus[0].access(Vaddr(0x1000), {.write = true}));
    EXPECT_EQ(logged_domains.load(), 1u);
}

TEST_F(DirtyLogModel, AMirrorTooSmallIsEmptiedAndGoesOn) {
    MirrorTables& mirror = log().mirror;
    begin();
    cpus.emplace_back(machine, vcpu(*guest, 0)).load_root();
    const u64 flushes = machine.domain_flushes;
    // Many tables come and go: each address space's are made anew.
    u64 made = 0;
    for (int i = 0; i < 2000 && machine.domain_flushes == flushes; i++) {
        cpus[0].load_root();
        ASSERT_TRUE(cpus[0].access(Vaddr(u64{1} << 30), {.write = true}));
        auto locked = LockedTable::lock(frame_of(pages[2]));
        Frame* retired = nullptr;
        const Pte old = locked->entries()[1];
        ASSERT_TRUE(set_upper_entry(*locked, 1, Pte(), {.owner = guest->id}, retired));
        mirror.table_ends(pages[4]);
        mirror.table_ends(pages[6]);
        ASSERT_TRUE(set_upper_entry(*locked, 1, old, {.owner = guest->id}, retired));
        made++;
    }
    EXPECT_GT(made, 50u);
    EXPECT_GT(machine.domain_flushes, flushes);
    ASSERT_TRUE(cpus[0].access(Vaddr(u64{1} << 30), {.write = true}));
    log().end(*guest);
}

}  // namespace
}  // namespace domus
