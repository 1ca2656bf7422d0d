// SPDX-License-Identifier: GPL-2.0-or-later
// Errors are values. Error's numbers are the ABI's errno values (public xen/errno.h), so that the edge
// negates and returns them without a table; inside, only the names are used.
#pragma once

#include <expected>
#include <utility>

#include "base/types.hpp"

namespace domus {

enum class Error : int {
    perm = 1,   // not allowed to the caller
    noent = 2,  // no such thing
    srch = 3,   // no such domain
    intr = 4,
    io = 5,
    nxio = 6,
    toobig = 7,  // argument list or buffer too long
    noexec = 8,  // not a kernel we can start
    badf = 9,
    again = 11,  // try later
    nomem = 12,  // no memory, or over the domain's limit
    access = 13,
    fault = 14,  // bad guest address
    busy = 16,
    exist = 17,
    xdev = 18,
    nodev = 19,
    inval = 22,  // malformed argument
    nospc = 28,  // table full
    rofs = 30,
    range = 34,
    deadlk = 35,
    nosys = 38,  // not implemented
    nodata = 61,
    time = 62,  // the moment has passed
    overflow = 75,
    ilseq = 84,
    restart = 85,  // internal: preempted, call again
    nobufs = 105,
    isconn = 106,
    notconn = 107,
    timedout = 110,
    opnotsupp = 95,
    addrinuse = 98,
    addrnotavail = 99,
};

template <class T = void>
using Result = std::expected<T, Error>;

using Fail = std::unexpected<Error>;
constexpr Fail fail(Error e) { return Fail(e); }

// The value of a Result, or an early return of its error.
#define TRY(expr)                                                                \
    ({                                                                           \
        auto&& try_result_ = (expr);                                             \
        if (!try_result_) [[unlikely]]                                           \
            return std::unexpected(try_result_.error());                         \
        ::domus::detail::take(std::forward<decltype(try_result_)>(try_result_)); \
    })

namespace detail {
template <class T, class E>
constexpr T take(std::expected<T, E>&& r) {
    if constexpr (!std::is_void_v<T>) return std::move(*r);
}
template <class T, class E>
constexpr T take(std::expected<T, E>& r) {
    if constexpr (!std::is_void_v<T>) return *r;
}
}  // namespace detail

}  // namespace domus
