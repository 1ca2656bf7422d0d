// SPDX-License-Identifier: GPL-2.0-or-later
// The last step of a domain's life, for core/domain_list.cpp.
#pragma once

#include "base/types.hpp"

namespace domus {
struct Domain;
}
namespace domus::core {

// Frees the structure, its vCPUs and tables. Nobody can reach it any more.
void free_domain(Domain* d);

// As free_shared_page() (core/pages.hpp), for a domain that nobody could ever find.
void discard_shared_page(Mfn m);

}  // namespace domus::core
