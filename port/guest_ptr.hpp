// SPDX-License-Identifier: GPL-2.0-or-later
// Typed guest pointers. Data crosses by copy, once: a handler reads an element into a local and decides on
// that copy; nothing reads guest memory twice to decide and then to use.
#pragma once

#include <type_traits>

#include "base/result.hpp"
#include "port/guest_memory.hpp"

namespace domus {

template <class T>
concept GuestCopyable = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>;

namespace detail {
template <GuestCopyable T>
class GuestPtrBase {
  public:
    constexpr GuestPtrBase() = default;
    constexpr explicit GuestPtrBase(u64 address) : address_(address) {}
    constexpr u64 raw() const { return address_; }
    constexpr bool null() const { return address_ == 0; }

  protected:
    // Wraps silently for huge indices: the port refuses the hypervisor's range and non-canonical addresses.
    Vaddr at(u64 index) const { return Vaddr(address_ + index * sizeof(T)); }

    Result<T> read_at(u64 index) const {
        T value;
        if (port::copy_from_guest(&value, at(index), sizeof value) != 0) return fail(Error::fault);
        return value;
    }
    Result<> read_many(u64 first, T* out, usize count) const {
        if (port::copy_from_guest(out, at(first), count * sizeof(T)) != 0) return fail(Error::fault);
        return {};
    }
    Result<> write_at(u64 index, const T& value) const {
        if (port::copy_to_guest(at(index), &value, sizeof value) != 0) return fail(Error::fault);
        return {};
    }
    Result<> write_many(u64 first, const T* in, usize count) const {
        if (port::copy_to_guest(at(first), in, count * sizeof(T)) != 0) return fail(Error::fault);
        return {};
    }

  private:
    u64 address_ = 0;
};
}  // namespace detail

// A pointer, given by a guest, to one or more T that the hypervisor reads.
template <GuestCopyable T>
class GuestIn : public detail::GuestPtrBase<T> {
  public:
    using detail::GuestPtrBase<T>::GuestPtrBase;
    Result<T> read(u64 index = 0) const { return this->read_at(index); }
    Result<> read(u64 first, T* out, usize count) const { return this->read_many(first, out, count); }
    GuestIn offset(u64 elements) const { return GuestIn(this->raw() + elements * sizeof(T)); }
};

// … that the hypervisor writes.
template <GuestCopyable T>
class GuestOut : public detail::GuestPtrBase<T> {
  public:
    using detail::GuestPtrBase<T>::GuestPtrBase;
    Result<> write(const T& value, u64 index = 0) const { return this->write_at(index, value); }
    Result<> write(u64 first, const T* in, usize count) const { return this->write_many(first, in, count); }
    GuestOut offset(u64 elements) const { return GuestOut(this->raw() + elements * sizeof(T)); }
};

// … that it reads and writes.
template <GuestCopyable T>
class GuestInOut : public detail::GuestPtrBase<T> {
  public:
    using detail::GuestPtrBase<T>::GuestPtrBase;
    Result<T> read(u64 index = 0) const { return this->read_at(index); }
    Result<> write(const T& value, u64 index = 0) const { return this->write_at(index, value); }
    GuestInOut offset(u64 elements) const { return GuestInOut(this->raw() + elements * sizeof(T)); }
    GuestIn<T> in() const { return GuestIn<T>(this->raw()); }
    GuestOut<T> out() const { return GuestOut<T>(this->raw()); }
};

}  // namespace domus
