// SPDX-License-Identifier: GPL-2.0-or-later
// Instructions that trap, fault or should not be there, and returns to odd frames.
#pragma once

#include "lib/random.hpp"

namespace hostile {

using namespace guest;

// On vCPU 0: executable pages for random code.
void make_code_pages();

void privileged_instruction(Random& r);
void random_code(Random& r);
void odd_return(Random& r);
void touch_arena(Random& r);
void load_selectors(Random& r);

}  // namespace hostile
