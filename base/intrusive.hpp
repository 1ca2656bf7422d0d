// SPDX-License-Identifier: GPL-2.0-or-later
// From a member node back to the object that it is embedded in.
#pragma once

#include "base/types.hpp"

namespace domus::detail {

// The T whose member `Member` is *node. The offset folds to a constant.
template <class T, auto Member, class Node>
T* owner_of(Node* node) {
    alignas(T) static constinit char probe_storage[1] = {};
    const T* probe = reinterpret_cast<const T*>(probe_storage);
    const auto offset =
        reinterpret_cast<const char*>(&(probe->*Member)) - reinterpret_cast<const char*>(probe);
    return reinterpret_cast<T*>(reinterpret_cast<char*>(node) - offset);
}

}  // namespace domus::detail
