// SPDX-License-Identifier: GPL-2.0-or-later
// Intrusive doubly linked list: no allocation, O(1) removal, a node knows whether it is linked.
#pragma once

#include "base/intrusive.hpp"
#include "base/types.hpp"

namespace domus {

struct ListNode {
    ListNode* prev = nullptr;
    ListNode* next = nullptr;

    ListNode() = default;
    ListNode(const ListNode&) = delete;
    ListNode& operator=(const ListNode&) = delete;

    bool linked() const { return next != nullptr; }
    void unlink() {
        prev->next = next;
        next->prev = prev;
        prev = next = nullptr;
    }
};

// A list of T, linked through its member `Node`. The list owns nothing.
template <class T, ListNode T::* Node>
class List {
  public:
    List() { head_.prev = head_.next = &head_; }

    bool empty() const { return head_.next == &head_; }
    T* front() { return empty() ? nullptr : owner(head_.next); }
    T* back() { return empty() ? nullptr : owner(head_.prev); }
    void push_back(T& item) { link(&(item.*Node), head_.prev, &head_); }
    void push_front(T& item) { link(&(item.*Node), &head_, head_.next); }
    // Puts `item` in front of `at`, which is in the list.
    void insert_before(T& at, T& item) { link(&(item.*Node), (at.*Node).prev, &(at.*Node)); }
    T* pop_front() {
        T* item = front();
        if (item != nullptr) (item->*Node).unlink();
        return item;
    }
    T* next_of(T& item) { return (item.*Node).next == &head_ ? nullptr : owner((item.*Node).next); }

    class Iterator {
      public:
        explicit Iterator(ListNode* n) : n_(n) {}
        T& operator*() const { return *owner(n_); }
        T* operator->() const { return owner(n_); }
        Iterator& operator++() { return n_ = n_->next, *this; }
        bool operator==(const Iterator& o) const { return n_ == o.n_; }

      private:
        ListNode* n_;
    };
    Iterator begin() { return Iterator(head_.next); }
    Iterator end() { return Iterator(&head_); }

  private:
    static void link(ListNode* n, ListNode* before, ListNode* after) {
        n->prev = before;
        n->next = after;
        before->next = n;
        after->prev = n;
    }
    static T* owner(ListNode* n) { return detail::owner_of<T, Node>(n); }

    ListNode head_;
};

}  // namespace domus
