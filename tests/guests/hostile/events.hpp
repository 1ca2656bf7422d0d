// SPDX-License-Identifier: GPL-2.0-or-later
// Event channels as a hostile kernel asks for them.
#pragma once

#include "abi/xen.hpp"
#include "hostile/calls.hpp"

namespace hostile {

// The console's and the store's port stay ours.
void spare_events(const start_info_t& info);
Call event_operation(Random& r, u64 place);

}  // namespace hostile
