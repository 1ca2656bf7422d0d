// SPDX-License-Identifier: GPL-2.0-or-later
// The heap against a sorted multiset.
#include "base/heap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace domus {
namespace {

struct Item {
    int pad = 0;
    s64 key = 0;
    HeapNode node;
};
using ItemHeap = Heap<Item, &Item::node, [](const Item& a, const Item& b) { return a.key < b.key; }>;

s64 smallest(const std::vector<Item>& items, auto&& accept) {
    s64 best = INT64_MAX;
    for (const Item& i : items)
        if (i.node.linked() && accept(i)) best = std::min(best, i.key);
    return best;
}

TEST(Heap, MatchesModelUnderRandomUse) {
    std::mt19937_64 random(1);
    for (usize n : {1u, 2u, 3u, 10u, 300u}) {
        std::vector<Item> items(n);
        ItemHeap heap;
        for (int step = 0; step < 20'000; step++) {
            Item& i = items[random() % n];
            if (i.node.linked()) {
                if (random() % 4 == 0) {
                    const s64 expected = heap.top()->key;
                    EXPECT_EQ(heap.pop()->key, expected);
                } else {
                    heap.remove(i);
                    EXPECT_FALSE(i.node.linked());
                }
            } else {
                i.key = static_cast<s64>(random() % 50);  // many equals
                heap.push(i);
            }
            const s64 best = smallest(items, [](const Item&) { return true; });
            ASSERT_EQ(heap.empty(), best == INT64_MAX);
            if (!heap.empty()) {
                ASSERT_EQ(heap.top()->key, best);
            }
            if (step % 16 == 0) {
                auto odd = [](const Item& item) { return item.key % 7 == 3; };
                const Item* found = heap.first_of(odd);
                ASSERT_EQ(found == nullptr ? INT64_MAX : found->key, smallest(items, odd));
                usize seen = 0;
                heap.for_each([&](Item&) { seen++; });
                ASSERT_EQ(static_cast<s64>(seen),
                          std::count_if(items.begin(), items.end(), [](auto& x) { return x.node.linked(); }));
            }
        }
    }
}

TEST(Heap, SortsMonotonicInput) {
    for (const int direction : {1, -1}) {
        std::vector<Item> items(5000);
        ItemHeap heap;
        for (usize i = 0; i < items.size(); i++) {
            items[i].key = direction * static_cast<s64>(i);
            heap.push(items[i]);
        }
        s64 last = INT64_MIN;
        while (!heap.empty()) {
            const Item* i = heap.pop();
            ASSERT_GT(i->key, last);
            last = i->key;
        }
    }
}

// The bound the file promises: no single operation compares more than a small multiple of log2(n) times.
struct Counted {
    s64 key = 0;
    HeapNode node;
    static inline u64 compared = 0;
};
using CountedHeap = Heap<Counted, &Counted::node, [](const Counted& a, const Counted& b) {
    Counted::compared++;
    return a.key < b.key;
}>;

TEST(Heap, NoOperationIsLinear) {
    std::vector<Counted> items(1 << 14);
    CountedHeap heap;
    std::mt19937_64 random(2);
    auto bounded = [](auto&& operation) {
        Counted::compared = 0;
        operation();
        ASSERT_LE(Counted::compared, 2u * 15u);
    };
    for (usize i = 0; i < items.size(); i++) {
        items[i].key = i % 2 == 0 ? static_cast<s64>(i) : static_cast<s64>(random() % 1000);
        bounded([&] { heap.push(items[i]); });
    }
    for (usize i = 0; i < items.size(); i += 3) bounded([&] { heap.remove(items[i]); });
    while (!heap.empty()) bounded([&] { heap.pop(); });
}

}  // namespace
}  // namespace domus
