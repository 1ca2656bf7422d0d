// SPDX-License-Identifier: GPL-2.0-or-later
// Grants as a hostile kernel gives, maps, copies and takes them back: to itself, for want of anybody else.
#pragma once

#include "hostile/calls.hpp"

namespace hostile {

// On vCPU 0: maps the first page of the grant table.
void make_grants();
// Writes entries there as they should be, and as they should not.
void write_grants(Random& r);
Call grant_operation(Random& r, u64 place);

}  // namespace hostile
