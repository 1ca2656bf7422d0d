// SPDX-License-Identifier: GPL-2.0-or-later
// What a grant operation reports of itself: the ABI's GNTST_* (public grant_table.h) as a type.
#pragma once

#include "abi/xen.hpp"
#include "base/result.hpp"

namespace domus::core {

enum class GrantStatus : s16 {
    okay = GNTST_okay,
    general_error = GNTST_general_error,
    bad_domain = GNTST_bad_domain,
    bad_gntref = GNTST_bad_gntref,
    bad_handle = GNTST_bad_handle,
    bad_virt_addr = GNTST_bad_virt_addr,
    bad_dev_addr = GNTST_bad_dev_addr,
    permission_denied = GNTST_permission_denied,
    address_too_big = GNTST_address_too_big,
    bad_page = GNTST_bad_page,
    bad_copy_arg = GNTST_bad_copy_arg,
    eagain = GNTST_eagain,
    no_space = GNTST_no_space,
};

template <class T = void>
using GrantResult = std::expected<T, GrantStatus>;

constexpr std::unexpected<GrantStatus> refuse(GrantStatus s) { return std::unexpected(s); }

template <class T>
constexpr s16 to_abi(const GrantResult<T>& r) {
    return static_cast<s16>(r ? GrantStatus::okay : r.error());
}

}  // namespace domus::core
