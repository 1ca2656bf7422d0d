// SPDX-License-Identifier: GPL-2.0-or-later
// Several CPUs change the same pages at once: in the end the books balance, and at no time was a page seen as
// a table and as writable.
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "mm/table_update.hpp"
#include "mm_fixture.hpp"

namespace domus {
namespace {

constexpr DomId kDom{1};
constexpr u64 kRw = Pte::kPresent | Pte::kWritable, kRo = Pte::kPresent;

class TypesOnManyCpus : public MemoryTest {};

TEST_F(TypesOnManyCpus, BooksBalance) {
    constexpr unsigned kThreads = 4, kTables = 3, kPages = 10;
    machine.preempt = true;  // a restart wherever there can be one
    std::vector<Mfn> l2s, l1s, pages;
    for (unsigned i = 0; i < kTables; i++) l2s.push_back(new_frame(kDom)), l1s.push_back(new_frame(kDom));
    for (unsigned i = 0; i < kPages; i++) pages.push_back(new_frame(kDom));
    // Two entries in each level 2 table, so that it can be interrupted between them.
    for (unsigned i = 0; i < kTables; i++)
        for (unsigned j = 0; j < kTables; j++) table(l2s[i])[j] = Pte(l1s[j], kRw);

    std::atomic<u32> broken{0};
    std::atomic<u64> good{0};
    const auto work = [&](unsigned seed) {
        std::mt19937 rng(seed);
        const TableRules rules{.owner = kDom, .preempt = Preempt::yes};
        const auto until_done = [](auto&& f) {
            Result<> r;
            do r = f();
            while (!r && r.error() == Error::restart);
            return r.has_value();
        };
        u64 mine = 0;
        for (int step = 0; step < 100000; step++) {
            const Mfn l2 = l2s[rng() % kTables], l1 = l1s[rng() % kTables], page = pages[rng() % kPages];
            switch (rng() % 5) {
                case 0:
                    mine += until_done([&] { return pin_page(frame_of(l2), PageType::l2, rules); });
                    break;
                case 1: mine += until_done([&] { return unpin_page(frame_of(l2), Preempt::yes); }); break;
                case 2: {
                    // A page now and then becomes a table of its own.
                    if (!get_page_type(frame_of(page), PageType::l1, rules)) break;
                    const TypeWord w{frame_of(page).type.load()};
                    if (w.type() != PageType::l1 || w.count() == 0) broken++;
                    if (!put_page_type(frame_of(page), Preempt::no)) broken++;
                    mine++;
                    break;
                }
                default: {
                    auto locked = LockedTable::lock(frame_of(l1));
                    if (!locked) break;
                    const Pte v = rng() % 4 == 0 ? Pte() : Pte(page, rng() % 2 == 0 ? kRw : kRo);
                    mine += set_l1_entry(*locked, rng() % 4, v, kDom, rules).has_value();
                    if (locked->level() != 1) broken++;
                }
            }
        }
        good += mine;
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; i++) threads.emplace_back(work, i);
    for (auto& t : threads) t.join();
    EXPECT_EQ(broken, 0u);
    EXPECT_GT(good, 1000u);

    machine.preempt = false;
    for (const Mfn m : l2s) ASSERT_TRUE(relinquish_page_type(frame_of(m)));
    for (const auto* list : {&l2s, &l1s, &pages})
        for (const Mfn m : *list) {
            EXPECT_TRUE(type_of(m).at_rest());
            EXPECT_EQ(refs_of(m), 1u);
        }
}

}  // namespace
}  // namespace domus
