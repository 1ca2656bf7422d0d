// SPDX-License-Identifier: GPL-2.0-or-later
// Owners of objects on the hypervisor's heap: Box<T> for one, Array<T> for a number fixed at its creation.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

#include "base/assert.hpp"
#include "mm/objects.hpp"

namespace domus {

namespace detail {
template <class T>
constexpr usize object_align() {
    return alignof(T) > 16 ? alignof(T) : 16;
}
}  // namespace detail

template <class T>
class Box {
  public:
    constexpr Box() = default;
    Box(Box&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
    Box& operator=(Box&& o) noexcept {
        if (this != &o) {
            reset();
            p_ = std::exchange(o.p_, nullptr);
        }
        return *this;
    }
    ~Box() { reset(); }

    // Takes over what release() gave up.
    static Box adopt(T* p) {
        Box b;
        b.p_ = p;
        return b;
    }
    T* release() { return std::exchange(p_, nullptr); }
    void reset() {
        if (p_ == nullptr) return;
        T* p = std::exchange(p_, nullptr);
        p->~T();
        deallocate(p, sizeof(T), detail::object_align<T>());
    }

    T* get() const { return p_; }
    T* operator->() const { return p_; }
    T& operator*() const { return *p_; }
    explicit operator bool() const { return p_ != nullptr; }

  private:
    T* p_ = nullptr;
};

// A new T, value-initialised when there are no arguments. ENOMEM.
template <class T, class... Args>
Result<Box<T>> make(Args&&... args) {
    static_assert(alignof(T) <= kPageSize);
    void* p = TRY(allocate(sizeof(T), detail::object_align<T>()));
    return Box<T>::adopt(new (p) T(std::forward<Args>(args)...));
}

template <class T>
class Array {
  public:
    constexpr Array() = default;
    Array(Array&& o) noexcept : p_(std::exchange(o.p_, nullptr)), n_(std::exchange(o.n_, 0)) {}
    Array& operator=(Array&& o) noexcept {
        if (this != &o) {
            reset();
            p_ = std::exchange(o.p_, nullptr);
            n_ = std::exchange(o.n_, 0);
        }
        return *this;
    }
    ~Array() { reset(); }

    void reset() {
        if (p_ == nullptr) return;
        for (usize i = n_; i-- > 0;) p_[i].~T();
        deallocate(p_, n_ * sizeof(T), detail::object_align<T>());
        p_ = nullptr;
        n_ = 0;
    }

    T* data() const { return p_; }
    usize size() const { return n_; }
    T& operator[](usize i) const {
        ASSERT(i < n_);
        return p_[i];
    }
    T* begin() const { return p_; }
    T* end() const { return p_ + n_; }

  private:
    template <class U>
    friend Result<Array<U>> make_array(usize n);

    T* p_ = nullptr;
    usize n_ = 0;
};

// `n` value-initialised elements; n == 0 gives an empty array. ENOMEM, also for absurd sizes.
template <class T>
Result<Array<T>> make_array(usize n) {
    Array<T> a;
    if (n == 0) return a;
    if (n > kGiB / sizeof(T)) return fail(Error::nomem);
    void* p = TRY(allocate(n * sizeof(T), detail::object_align<T>()));
    a.p_ = static_cast<T*>(p);
    for (; a.n_ < n; a.n_++) new (a.p_ + a.n_) T();
    return a;
}

}  // namespace domus
