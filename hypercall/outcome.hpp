// SPDX-License-Identifier: GPL-2.0-or-later
// What a hypercall returns: a value, an error, or "again with these arguments".
#pragma once

#include <tuple>
#include <utility>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::hypercall {

// What a thunk tells dispatch.
struct Outcome {
    enum class Then : u8 {
        result,          // put `value` into the result register
        again,           // the argument words have been rewritten: execute the instruction anew
        leave_registers  // the handler has set the whole frame (iret)
    };
    s64 value = 0;
    Then then = Then::result;
};

// The ABI's edge: an error becomes its negated number.
constexpr s64 to_abi(Error e) { return -static_cast<s64>(e); }
constexpr s64 to_abi(const Result<s64>& r) { return r ? *r : to_abi(r.error()); }
constexpr s64 to_abi(const Result<>& r) { return r ? 0 : to_abi(r.error()); }

// again(a, b, …): the arguments of a continuation. Their types must be exactly those of the handler's
// signature, which therefore encodes them.
template <class... A>
struct Again {
    std::tuple<A...> arguments;
};
template <class... A>
Again<A...> again(A... arguments) {
    return {{arguments...}};
}

// The return type of a handler, with parameters A…, that may ask to be called again.
template <class... A>
class [[nodiscard]] Preemptible {
  public:
    // NOLINTBEGIN(google-explicit-constructor): a handler returns any of these
    Preemptible(s64 value) : value_(value) {}
    Preemptible(Result<s64> r) : value_(to_abi(r)) {}
    Preemptible(Result<> r) : value_(to_abi(r)) {}
    Preemptible(Fail f) : value_(to_abi(f.error())) {}
    Preemptible(Again<A...> a) : again_(true), arguments_(std::move(a.arguments)) {}
    // NOLINTEND(google-explicit-constructor)

    bool wants_again() const { return again_; }
    s64 value() const { return value_; }
    const std::tuple<A...>& arguments() const { return arguments_; }

  private:
    s64 value_ = 0;
    bool again_ = false;
    std::tuple<A...> arguments_{};
};

}  // namespace domus::hypercall
