// SPDX-License-Identifier: GPL-2.0-or-later
// Page types: the rules one by one, then random histories against a small recursive model, then random
// histories with interruptions against a full walk of what the tables hold.
#include "mm/page_type.hpp"

#include <functional>
#include <map>
#include <random>
#include <vector>

#include "mm/table_update.hpp"
#include "mm_fixture.hpp"

namespace domus {
namespace {

constexpr DomId kDom{1}, kOther{2};
constexpr u64 kRw = Pte::kPresent | Pte::kWritable, kRo = Pte::kPresent;

class PageTypes : public MemoryTest {
  protected:
    TableRules rules{.owner = kDom};
    TableRules preemptible{.owner = kDom, .preempt = Preempt::yes};

    Result<> pin(Mfn m, PageType t) { return pin_page(frame_of(m), t, rules); }
    Result<> unpin(Mfn m) { return unpin_page(frame_of(m), Preempt::no); }
    Result<> set(Mfn t, unsigned i, Pte v, DomId from = kDom) {
        LockedTable locked = TRY(LockedTable::lock(frame_of(t)));
        if (locked.level() == 1) return set_l1_entry(locked, i, v, from, rules);
        Frame* retired = nullptr;
        return set_upper_entry(locked, i, v, rules, retired);
    }
    struct Tree {
        Mfn l4, l3, l2, l1, page;
    };
    Tree tree() {
        Tree t{new_frame(kDom), new_frame(kDom), new_frame(kDom), new_frame(kDom), new_frame(kDom)};
        table(t.l4)[3] = Pte(t.l3, kRw);
        table(t.l3)[4] = Pte(t.l2, kRw);
        table(t.l2)[5] = Pte(t.l1, kRw);
        table(t.l1)[6] = Pte(t.page, kRw);
        return t;
    }
};

// Were another use possible while the stamp is taken, it could come and go with a later staleness than the
// stamp.
TEST_F(PageTypes, TheLastWritableUseIsStampedWhenThereCanBeNoOther) {
    const Mfn m = new_frame(kDom);
    Frame& f = frame_of(m);
    ASSERT_TRUE(get_writable(f) && get_writable(f));
    u32 asked = 0;
    machine.on_tlb_clock = [&] {
        asked++;
        EXPECT_FALSE(type_machine::can_share(type_of(m), PageType::writable));
        EXPECT_FALSE(type_machine::begin_get(type_of(m), PageType::writable));
    };
    put_writable(f);
    EXPECT_EQ(asked, 0u);
    machine.tlb_clock = 1234;
    put_writable(f);
    EXPECT_EQ(asked, 1u);
    machine.on_tlb_clock = nullptr;
    EXPECT_EQ(f.stamp, 1234u);
    EXPECT_EQ(type_of(m), TypeWord::of(PageType::writable, TypeWord::kValidated | TypeWord::kStale));
    EXPECT_TRUE(get_writable(f));
    put_writable(f);
}

TEST_F(PageTypes, PinTakesReferencesAndUnpinGivesThemBack) {
    const Tree t = tree();
    hypervisor_slots[1] = Pte(Mfn(77), kRw);
    ASSERT_TRUE(pin(t.l4, PageType::l4));
    EXPECT_TRUE(type_of(t.l4).has(TypeWord::kPinned));
    EXPECT_EQ(refs_of(t.l4), 2u);
    EXPECT_EQ(type_of(t.l1), TypeWord::of(PageType::l1, TypeWord::kValidated, 1));
    EXPECT_EQ(type_of(t.page), TypeWord::of(PageType::writable, TypeWord::kValidated, 1));
    EXPECT_EQ(refs_of(t.page), 2u);
    EXPECT_TRUE(table(t.l1)[6].user());  // the guest's kernel runs in ring 3
    EXPECT_EQ(table(t.l4)[257], Pte(Mfn(77), kRw));
    EXPECT_FALSE(pin(t.l4, PageType::l4));  // twice
    EXPECT_EQ(refs_of(t.l4), 2u);
    ASSERT_TRUE(unpin(t.l4));
    EXPECT_FALSE(unpin(t.l4));
    for (const Mfn m : {t.l4, t.l3, t.l2, t.l1, t.page}) {
        EXPECT_EQ(refs_of(m), 1u);
        EXPECT_TRUE(type_of(m).at_rest());
        EXPECT_TRUE(disown_frame(m));
    }
    EXPECT_EQ(heap_free_frames(), kFrames - 256);
}

TEST_F(PageTypes, TableIsNeverWritable) {
    const Tree t = tree();
    ASSERT_TRUE(pin(t.l4, PageType::l4));
    EXPECT_EQ(set(t.l1, 0, Pte(t.l2, kRw)).error(), Error::busy);
    EXPECT_EQ(set(t.l1, 0, Pte(t.l1, kRw)).error(), Error::busy);
    EXPECT_TRUE(set(t.l1, 0, Pte(t.l1, kRo)));
    EXPECT_FALSE(set(t.l1, 0, Pte(t.l1, kRw)));  // same frame, more rights
    EXPECT_FALSE(pin(t.page, PageType::l1));     // mapped writable
    EXPECT_TRUE(set(t.l1, 6, Pte(t.page, kRo)));
    EXPECT_TRUE(pin(t.page, PageType::l1));
    EXPECT_FALSE(set(t.l1, 6, Pte(t.page, kRw)));
}

TEST_F(PageTypes, StaleWritersAreFlushedBeforeAPageIsTrusted) {
    const Tree t = tree();
    ASSERT_TRUE(pin(t.l4, PageType::l4));
    ASSERT_TRUE(set(t.l1, 6, Pte()));
    const u64 before = machine.domain_flushes;
    ASSERT_TRUE(pin(t.page, PageType::l2));
    EXPECT_EQ(machine.domain_flushes, before + 1);
    // The other way round: CPUs may still walk a former table.
    ASSERT_TRUE(unpin(t.page));
    ASSERT_TRUE(set(t.l1, 6, Pte(t.page, kRw)));
    EXPECT_EQ(machine.domain_flushes, before + 2);
    // Writable, dropped, writable again needs none.
    ASSERT_TRUE(set(t.l1, 6, Pte()));
    ASSERT_TRUE(set(t.l1, 6, Pte(t.page, kRw)));
    EXPECT_EQ(machine.domain_flushes, before + 2);
}

TEST_F(PageTypes, RefusesHostileEntries) {
    const Tree t = tree();
    const Mfn foreign = new_frame(kOther);
    ASSERT_TRUE(pin(t.l4, PageType::l4));
    EXPECT_FALSE(set(t.l1, 0, Pte(foreign, kRo)));
    EXPECT_FALSE(set(t.l1, 0, Pte(Mfn(kFrames), kRo)));             // not RAM
    EXPECT_FALSE(set(t.l1, 0, Pte(Mfn((u64{1} << 40) - 1), kRo)));  // beyond everything
    EXPECT_FALSE(set(t.l1, 0, Pte(Mfn(5), kRo)));                   // the hypervisor's own
    EXPECT_FALSE(set(t.l2, 0, Pte(t.page, kRw | Pte::kLarge)));     // superpage
    EXPECT_FALSE(set(t.l2, 5, Pte(t.l1, kRw | Pte::kLarge)));       // made of an existing entry
    EXPECT_FALSE(set(t.l2, 0, Pte(t.l2, kRw)));                     // recursive
    EXPECT_FALSE(set(t.l4, 0, Pte(t.l4, kRw)));
    EXPECT_FALSE(set(t.l3, 0, Pte(t.l4, kRw)));  // upwards
    EXPECT_FALSE(set(t.l4, 256, Pte()));         // the hypervisor's slots
    EXPECT_FALSE(set(t.l4, 271, Pte(t.l3, kRw)));
    EXPECT_TRUE(set(t.l4, 272, Pte(t.l3, kRw)));
    EXPECT_FALSE(LockedTable::lock(frame_of(t.page)));
    rules.forbidden = Pte::kCacheDisable;
    EXPECT_FALSE(set(t.l1, 0, Pte(t.page, kRo | Pte::kCacheDisable)));
    EXPECT_FALSE(set(t.l1, 6, Pte(t.page, kRw | Pte::kCacheDisable)));
    EXPECT_TRUE(set(t.l1, 6, Pte(t.page, kRw | Pte::kNoExecute | Pte::kGlobal)));
    EXPECT_EQ(table(t.l1)[6].v & Pte::kGlobal, 0u);
    EXPECT_EQ(refs_of(foreign), 1u);
    // A foreign page that may be mapped, and that may not be made writable on the quiet.
    EXPECT_TRUE(set(t.l1, 9, Pte(foreign, kRo), kOther));
    EXPECT_FALSE(set(t.l1, 9, Pte(foreign, kRw)));
    EXPECT_TRUE(set(t.l1, 9, Pte(foreign, kRo | Pte::kNoExecute)));
    EXPECT_TRUE(set(t.l1, 9, Pte(foreign, kRw), kOther));
    EXPECT_EQ(refs_of(foreign), 2u);
    EXPECT_TRUE(set(t.l1, 9, Pte()));
    EXPECT_EQ(refs_of(foreign), 1u);
}

TEST_F(PageTypes, DeviceMemoryByPermission) {
    const Tree t = tree();
    ASSERT_TRUE(pin(t.l4, PageType::l4));
    const Mfn device(0xfec00);
    EXPECT_EQ(set(t.l1, 0, Pte(device, kRw)).error(), Error::perm);
    set_io_permitted([](DomId d, Mfn m, bool write) { return d == kDom && m.v == 0xfec00 && !write; });
    EXPECT_EQ(set(t.l1, 0, Pte(device, kRw)).error(), Error::perm);
    EXPECT_TRUE(set(t.l1, 0, Pte(device, kRo)));
    EXPECT_FALSE(set(t.l1, 0, Pte(device, kRw)));
    EXPECT_TRUE(set(t.l1, 1, Pte(device, kRo), kOwnerIo));
    EXPECT_TRUE(set(t.l1, 0, Pte(t.page, kRw)));
    EXPECT_TRUE(unpin(t.l4));
}

TEST_F(PageTypes, ExchangeIsAtomic) {
    const Tree t = tree();
    ASSERT_TRUE(pin(t.l4, PageType::l4));
    LockedTable l1 = *LockedTable::lock(frame_of(t.l1));
    const Pte old = table(t.l1)[6];
    EXPECT_EQ(*exchange_l1_entry(l1, 6, Pte(old.v | Pte::kDirty), Pte(), kDom, rules), old);
    EXPECT_EQ(table(t.l1)[6], old);
    EXPECT_EQ(*exchange_l1_entry(l1, 6, old, Pte(t.page, kRo), kDom, rules), old);
    EXPECT_EQ(type_of(t.page).count(), 0u);
    EXPECT_EQ(refs_of(t.page), 2u);
    table(t.l1)[6].v |= Pte::kDirty | Pte::kAccessed;
    EXPECT_TRUE(set_l1_entry(l1, 6, Pte(t.page, kRw), kDom, rules, KeepBits::accessed_dirty));
    EXPECT_EQ(table(t.l1)[6].v & 0x60, 0x60u);
    EXPECT_TRUE(set_l1_entry(l1, 6, Pte(t.page, kRw), kDom, rules));
    EXPECT_EQ(table(t.l1)[6].v & 0x60, 0u);
}

TEST_F(PageTypes, DescriptorPages) {
    const Mfn m = new_frame(kDom);
    u64* d = port::frame_ptr<u64>(m);
    d[1] = 0x00af9a000000ffff;  // ring 0 code
    ASSERT_TRUE(get_page_type(frame_of(m), PageType::descriptors, rules));
    EXPECT_EQ(d[1], 0x00affa000000ffffu);
    EXPECT_FALSE(get_writable(frame_of(m)));
    ASSERT_TRUE(put_page_type(frame_of(m), Preempt::no));
    ASSERT_TRUE(get_writable(frame_of(m)));
    put_writable(frame_of(m));
    for (const u64 gate : {u64{0x0000ec0000000000}, u64{0x0000890000000067}, u64{0x0000820000000000}}) {
        d[2] = gate;
        EXPECT_FALSE(get_page_type(frame_of(m), PageType::descriptors, rules));
    }
}

TEST_F(PageTypes, M2pSlotFollowsTheAssist) {
    hypervisor_slots[0] = Pte(Mfn(7), kRo);
    Tree t = tree();
    ASSERT_TRUE(pin(t.l4, PageType::l4));
    EXPECT_EQ(table(t.l4)[256], Pte());
    ASSERT_TRUE(unpin(t.l4));
    rules.m2p_strict = true;
    ASSERT_TRUE(pin(t.l4, PageType::l4));
    EXPECT_EQ(table(t.l4)[256], Pte(Mfn(7), kRo));
}

// Interrupts the pinning and the unpinning of a tree after every number of steps, with and without an entry
// that makes it fail in the end.
TEST_F(PageTypes, PreemptedAnywhere) {
    for (const bool bad : {false, true}) {
        for (u64 after = 0; after < 12; after++) {
            Tree t = tree();
            std::vector<Mfn> all{t.l4, t.l3, t.l2, t.l1, t.page};
            for (unsigned i = 0; i < 3; i++) {
                const Mfn l2 = new_frame(kDom), l1 = new_frame(kDom), l3 = new_frame(kDom);
                table(t.l4)[10 + i] = Pte(l3, kRw);
                table(l3)[i] = Pte(l2, kRw);
                table(l2)[i] = Pte(l1, kRw);
                table(l1)[i] = Pte(t.page, kRw);
                all.insert(all.end(), {l3, l2, l1});
            }
            if (bad) table(t.l4)[300] = Pte(t.page, kRw);
            const auto run = [&](auto&& step) {
                Result<> r;
                int restarts = 0;
                do {
                    machine.preempt_after = after;
                    r = step();
                } while (!r && r.error() == Error::restart && ++restarts < 1000);
                machine.preempt_after = ~u64{0};
                EXPECT_LT(restarts, 1000);
                return r;
            };
            const auto pinned = run([&] { return pin_page(frame_of(t.l4), PageType::l4, preemptible); });
            if (bad) {
                EXPECT_EQ(pinned.error(), Error::inval);
            } else {
                ASSERT_TRUE(pinned);
                EXPECT_EQ(type_of(t.page).count(), 4u);
                ASSERT_TRUE(run([&] { return unpin_page(frame_of(t.l4), Preempt::yes); }));
            }
            for (const Mfn m : all) {
                EXPECT_EQ(refs_of(m), 1u) << m.v;
                EXPECT_TRUE(type_of(m).at_rest()) << m.v;
                EXPECT_TRUE(disown_frame(m));
            }
        }
    }
    EXPECT_EQ(heap_free_frames(), kFrames - 256);
}

TEST_F(PageTypes, InterruptedUnpinCanBePinnedAgain) {
    const Tree t = tree();
    const Mfn l3 = new_frame(kDom);
    table(t.l4)[9] = Pte(l3, kRw);
    ASSERT_TRUE(pin(t.l4, PageType::l4));
    machine.preempt = true;
    EXPECT_EQ(unpin_page(frame_of(t.l4), Preempt::yes).error(), Error::restart);
    machine.preempt = false;
    EXPECT_FALSE(LockedTable::lock(frame_of(t.l4)));  // half taken apart: no updates
    ASSERT_TRUE(get_page_type(frame_of(t.l4), PageType::l4, rules));
    EXPECT_EQ(type_of(t.l4).count(), 2u);
    ASSERT_TRUE(unpin(t.l4));
    EXPECT_EQ(type_of(t.l4).count(), 1u);
    ASSERT_TRUE(put_page_type(frame_of(t.l4), Preempt::no));
    EXPECT_TRUE(type_of(t.l1).at_rest());
}

TEST_F(PageTypes, AbandonedValidationIsRelinquished) {
    const Tree t = tree();
    const Mfn l3 = new_frame(kDom);
    table(t.l4)[9] = Pte(l3, kRw);
    machine.preempt = true;
    EXPECT_EQ(pin_page(frame_of(t.l4), PageType::l4, preemptible).error(), Error::restart);
    machine.preempt = false;
    EXPECT_EQ(refs_of(t.l4), 2u);
    EXPECT_FALSE(disown_frame(t.l4) && refs_of(t.l4) == 0);
    ASSERT_TRUE(relinquish_page_type(frame_of(t.l4)));
    EXPECT_TRUE(type_of(t.page).at_rest());
}

// ---- the model
// ----------------------------------------------------------------------------------------------

struct Model {
    struct Page {
        PageType type = PageType::none;
        u64 count = 0, refs = 1;
        bool busy = false, pinned = false;
    };
    std::map<u64, Page> pages;

    bool get(u64 m, PageType t) {
        auto it = pages.find(m);
        if (it == pages.end()) return false;
        Page& p = it->second;
        if (p.busy) return false;
        if (p.count > 0) {
            if (p.type != t) return false;
            p.count++;
            p.refs++;
            return true;
        }
        p.type = t;
        p.busy = true;
        bool ok = true;
        if (is_table(t)) {
            unsigned i = 0;
            for (; ok && i < 512; i++) ok = entry(t, i, port::frame_ptr<Pte>(Mfn(m))[i]);
            if (!ok)
                for (i--; i-- > 0;) drop(t, i, port::frame_ptr<Pte>(Mfn(m))[i]);
        }
        p.busy = false;
        if (ok) p.count = 1, p.refs++;
        return ok;
    }
    void put(u64 m) {
        Page& p = pages.at(m);
        p.refs--;
        if (--p.count == 0 && is_table(p.type))
            for (unsigned i = 0; i < 512; i++) drop(p.type, i, port::frame_ptr<Pte>(Mfn(m))[i]);
    }
    bool entry(PageType t, unsigned i, Pte e) {
        if (!e.present() || (t == PageType::l4 && i >= 256 && i < 272)) return true;
        if (t != PageType::l1)
            return !e.large() && get(e.mfn().v, static_cast<PageType>(static_cast<int>(t) - 1));
        if (e.writable()) return get(e.mfn().v, PageType::writable);
        if (!pages.contains(e.mfn().v)) return false;
        pages[e.mfn().v].refs++;
        return true;
    }
    void drop(PageType t, unsigned i, Pte e) {
        if (!e.present() || (t == PageType::l4 && i >= 256 && i < 272)) return;
        if (t != PageType::l1 || e.writable())
            put(e.mfn().v);
        else
            pages[e.mfn().v].refs--;
    }
};

class PageTypeModel : public PageTypes {
  protected:
    std::mt19937 rng{7};
    std::vector<Mfn> frames;

    Pte random_entry() {
        u64 flags = rng() % 8 == 0 ? 0 : kRo;
        if (rng() % 2 == 0) flags |= Pte::kWritable;
        if (rng() % 40 == 0) flags |= Pte::kLarge;
        Mfn m = frames[rng() % frames.size()];
        if (rng() % 60 == 0) m = Mfn(rng() % 8000);
        return Pte(m, flags);
    }
    unsigned random_slot() { return rng() % 10 == 0 ? 250 + rng() % 30 : rng() % 6; }
};

TEST_F(PageTypeModel, RandomHistoriesAgree) {
    for (unsigned seed = 0; seed < 40; seed++) {
        rng.seed(seed);
        Model model;
        frames.clear();
        for (int i = 0; i < 14; i++) {
            frames.push_back(new_frame(kDom));
            model.pages[frames.back().v] = {};
        }
        unsigned succeeded = 0;
        for (int step = 0; step < 1500; step++) {
            const Mfn m = frames[rng() % frames.size()];
            Model::Page& p = model.pages[m.v];
            const u64 what = rng() % 10;
            machine.preempt_after = ~u64{0};
            const auto finish = [&](auto&& f) {
                Result<> r;
                do {
                    machine.preempt_after = rng() % 3;
                    r = f();
                } while (!r && r.error() == Error::restart);
                machine.preempt_after = ~u64{0};
                return r;
            };
            if (what < 3) {  // the guest writes a page that is not a table
                if (p.count != 0 && p.type != PageType::writable) continue;
                table(m)[random_slot()] = rng() % 3 == 0 ? Pte() : random_entry();
            } else if (what < 5) {
                const auto t = static_cast<PageType>(2 + rng() % 4);
                bool want = model.get(m.v, t);
                const bool twice = want && p.pinned;
                if (twice) model.put(m.v), want = false;
                if (want) p.pinned = true;
                const auto r = finish([&] { return pin_page(frame_of(m), t, preemptible); });
                ASSERT_EQ(r.has_value(), want);
                succeeded += want;
            } else if (what < 6) {
                const bool want = p.pinned;
                if (want) p.pinned = false, model.put(m.v);
                const auto r = finish([&] { return unpin_page(frame_of(m), Preempt::yes); });
                ASSERT_EQ(r.has_value(), want);
            } else {
                const bool is = p.count != 0 && is_table(p.type);
                const unsigned slot = random_slot();
                const Pte v = rng() % 3 == 0 ? Pte() : random_entry();
                auto locked = LockedTable::lock(frame_of(m));
                ASSERT_EQ(locked.has_value(), is);
                if (!is) continue;
                const PageType t = p.type;
                bool want = !(t == PageType::l4 && slot >= 256 && slot < 272);
                const Pte old = table(m)[slot];
                if (want) {
                    p.busy = true;  // the lock
                    want = model.entry(t, slot, v);
                    p.busy = false;
                }
                Result<> r;
                if (t == PageType::l1) {
                    r = set_l1_entry(*locked, slot, v, kDom, rules);
                } else {
                    Frame* retired = nullptr;
                    r = finish([&] { return set_upper_entry(*locked, slot, v, preemptible, retired); });
                    if (retired != nullptr) {
                        ASSERT_TRUE(finish([&] { return put_page_type(*retired, Preempt::yes); }));
                        put_ref(*retired);
                    }
                }
                ASSERT_EQ(r.has_value(), want);
                if (want) model.drop(t, slot, old);
                succeeded += want;
            }
            for (const auto& [n, page] : model.pages) {
                const TypeWord w = type_of(Mfn(n));
                ASSERT_EQ(w.count(), page.count) << "seed " << seed << " step " << step;
                ASSERT_EQ(refs_of(Mfn(n)), page.refs);
                ASSERT_EQ(w.has(TypeWord::kPinned), page.pinned);
                ASSERT_FALSE(w.has(TypeWord::kPartial) || w.has(TypeWord::kLocked));
                if (page.count != 0) {
                    ASSERT_EQ(w.type(), page.type);
                }
            }
        }
        EXPECT_GT(succeeded, 20u);
        for (const Mfn m : frames)
            if (model.pages[m.v].pinned) {
                model.put(m.v);
                ASSERT_TRUE(unpin(m));
            }
        for (const Mfn m : frames) ASSERT_TRUE(disown_frame(m));
        ASSERT_EQ(heap_free_frames(), kFrames - 256);
    }
}

// Operations interrupt each other and are not always taken up again: whatever happens, counts are what a full
// walk of the tables finds, and everything can be given back in the end.
TEST_F(PageTypeModel, InterruptedHistoriesKeepTheBooks) {
    for (unsigned seed = 100; seed < 140; seed++) {
        rng.seed(seed);
        frames.clear();
        for (int i = 0; i < 14; i++) frames.push_back(new_frame(kDom));
        std::vector<Frame*> retired_list;
        const auto check = [&] {
            std::map<u64, u64> counts, refs;
            const auto hold = [&](Mfn m, bool typed) { refs[m.v]++, counts[m.v] += typed; };
            for (const Mfn m : frames) {
                const TypeWord w = type_of(m);
                refs[m.v]++;
                if (w.has(TypeWord::kPinned)) hold(m, true);
                if (w.has(TypeWord::kPartial) && w.count() == 0) refs[m.v]++;
                ASSERT_FALSE(w.has(TypeWord::kLocked));
                if (!is_table(w.type())) continue;
                const unsigned end = w.has(TypeWord::kPartial)     ? w.index()
                                     : w.has(TypeWord::kValidated) ? kPtesPerTable
                                                                   : 0;
                for (unsigned i = 0; i < end; i++) {
                    const Pte e = table(m)[i];
                    if (!e.present() || (w.type() == PageType::l4 && is_hypervisor_slot(i))) continue;
                    hold(e.mfn(), w.type() != PageType::l1 || e.writable());
                }
            }
            for (Frame* f : retired_list) hold(mfn_of(*f), true);
            for (const Mfn m : frames) {
                ASSERT_EQ(type_of(m).count(), counts[m.v]) << "seed " << seed;
                ASSERT_EQ(refs_of(m), refs[m.v]);
            }
        };
        for (int step = 0; step < 1500; step++) {
            const Mfn m = frames[rng() % frames.size()];
            const TypeWord w = type_of(m);
            machine.preempt_after = rng() % 3;
            switch (rng() % 5) {
                case 0:
                case 1:
                    if (w.type() == PageType::none || w.type() == PageType::writable || w.at_rest())
                        table(m)[random_slot()] = rng() % 3 == 0 ? Pte() : random_entry();
                    break;
                case 2: (void)pin_page(frame_of(m), static_cast<PageType>(2 + rng() % 4), preemptible); break;
                case 3: (void)unpin_page(frame_of(m), Preempt::yes); break;
                default: {
                    if (!retired_list.empty()) {
                        Frame* f = retired_list.back();
                        if (put_page_type(*f, Preempt::yes)) {
                            retired_list.pop_back();
                            put_ref(*f);
                        }
                        break;
                    }
                    auto locked = LockedTable::lock(frame_of(m));
                    if (!locked) break;
                    const Pte v = rng() % 3 == 0 ? Pte() : random_entry();
                    if (locked->level() == 1) {
                        (void)set_l1_entry(*locked, random_slot(), v, kDom, rules);
                    } else {
                        Frame* retired = nullptr;
                        (void)set_upper_entry(*locked, random_slot(), v, preemptible, retired);
                        if (retired != nullptr) retired_list.push_back(retired);
                    }
                }
            }
            machine.preempt_after = ~u64{0};
            check();
            if (HasFatalFailure()) return;
        }
        for (Frame* f : retired_list) {
            ASSERT_TRUE(put_page_type(*f, Preempt::no));
            put_ref(*f);
        }
        for (const Mfn m : frames) ASSERT_TRUE(relinquish_page_type(frame_of(m)));
        for (const Mfn m : frames) ASSERT_TRUE(disown_frame(m));
        ASSERT_EQ(heap_free_frames(), kFrames - 256);
    }
}

}  // namespace
}  // namespace domus
