// SPDX-License-Identifier: GPL-2.0-or-later
// Intrusive priority queue: a leftist heap. No allocation; top() is O(1); push(), pop() and remove() of any
// item are O(log n) in the worst case, not merely amortised, so that no guest can save up work for an unlucky
// moment.
//
//     struct Sooner { bool operator()(const Timer& a, const Timer& b) const { return a.when < b.when; } };
//     Heap<Timer, &Timer::node, Sooner{}> timers;
//
// (A named type: in a header, g++ 12 takes a lambda here for something of one translation unit only.)
// The item for which Less says "before all others" is on top; the order of equals is not defined. An item's
// key must not change while it is in the heap: remove it, change it, push it again.
#pragma once

#include <utility>

#include "base/intrusive.hpp"
#include "base/types.hpp"

namespace domus {

struct HeapNode {
    HeapNode* parent = nullptr;
    HeapNode* left = nullptr;
    HeapNode* right = nullptr;
    u32 rank = 0;  // nodes on the way right to a missing child; 0: not in a heap

    HeapNode() = default;
    HeapNode(const HeapNode&) = delete;
    HeapNode& operator=(const HeapNode&) = delete;

    bool linked() const { return rank != 0; }
};

// The heap owns nothing.
template <class T, HeapNode T::* Node, auto Less>
class Heap {
  public:
    Heap() = default;
    Heap(const Heap&) = delete;
    Heap& operator=(const Heap&) = delete;

    bool empty() const { return root_ == nullptr; }
    T* top() const { return root_ == nullptr ? nullptr : owner(root_); }

    // `item` is in no heap.
    void push(T& item) {
        HeapNode* n = &(item.*Node);
        n->left = n->right = nullptr;
        n->rank = 1;
        root_ = merge(root_, n);
        root_->parent = nullptr;
    }

    T* pop() {
        T* item = top();
        if (item != nullptr) remove(*item);
        return item;
    }

    // `item` is in this heap.
    void remove(T& item) {
        HeapNode* n = &(item.*Node);
        HeapNode* p = n->parent;
        HeapNode* sub = merge(n->left, n->right);
        if (sub != nullptr) sub->parent = p;
        if (p == nullptr) {
            root_ = sub;
        } else {
            (p->left == n ? p->left : p->right) = sub;
            // Every ancestor whose rank changes has one rank more than the one below it, so this ends
            // after O(log n) steps although the left spine may be long.
            while (p != nullptr && settle(p)) p = p->parent;
        }
        n->parent = n->left = n->right = nullptr;
        n->rank = 0;
    }

    // The first item in the heap's order of which `accept` is true, or null. Looks only at items that come
    // before the answer and their children: O(1) if the top is accepted, O(n) if few are.
    template <class Accept>
    T* first_of(Accept&& accept) const {
        T* best = nullptr;
        walk([&](T& item) {
            if (best != nullptr && !Less(item, *best)) return false;
            if (!accept(static_cast<const T&>(item))) return true;
            best = &item;
            return false;
        });
        return best;
    }

    // Calls visit(T&) for every item, in no useful order. visit() must not change the heap.
    template <class Visit>
    void for_each(Visit&& visit) const {
        walk([&](T& item) { return visit(item), true; });
    }

  private:
    static T* owner(HeapNode* n) { return detail::owner_of<T, Node>(n); }
    static bool before(HeapNode* a, HeapNode* b) {
        return Less(static_cast<const T&>(*owner(a)), static_cast<const T&>(*owner(b)));
    }
    static u32 rank_of(const HeapNode* n) { return n == nullptr ? 0 : n->rank; }

    // Restores "left is at least as deep as right" and the rank at n; true if the rank changed.
    static bool settle(HeapNode* n) {
        if (rank_of(n->left) < rank_of(n->right)) std::swap(n->left, n->right);
        const u32 rank = rank_of(n->right) + 1;
        return std::exchange(n->rank, rank) != rank;
    }

    // Merges two heaps along their right spines, which are at most log2(n) long. The root's parent is left to
    // the caller.
    static HeapNode* merge(HeapNode* a, HeapNode* b) {
        if (a == nullptr) return b;
        if (b == nullptr) return a;
        if (before(b, a)) std::swap(a, b);
        HeapNode* const root = a;
        while (b != nullptr) {
            HeapNode* r = a->right;
            if (r == nullptr || before(b, r)) std::swap(r, b);
            a->right = r;
            r->parent = a;
            a = r;
        }
        // The last node's subtrees are as they were; its ancestors on the merged spine are not.
        while (a != root) {
            a = a->parent;
            settle(a);
        }
        return root;
    }

    // Preorder by parent pointers, without recursion since the left spine may be long. visit() says whether
    // to go below an item.
    template <class Visit>
    void walk(Visit&& visit) const {
        HeapNode* n = root_;
        while (n != nullptr) {
            if (visit(*owner(n)) && n->left != nullptr) {  // no left child, no right one either
                n = n->left;
                continue;
            }
            while (n->parent != nullptr && (n->parent->right == n || n->parent->right == nullptr))
                n = n->parent;
            n = n->parent == nullptr ? nullptr : n->parent->right;
        }
    }

    HeapNode* root_ = nullptr;
};

}  // namespace domus
