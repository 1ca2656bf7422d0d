// SPDX-License-Identifier: GPL-2.0-or-later
// Hypercalls as a hostile kernel makes them: their arguments are drawn so that many are refused late.
#pragma once

#include "lib/random.hpp"

namespace hostile {

using namespace guest;

struct Call {
    u64 number = 0;
    u64 arguments[5] = {};
    const u64* gained = nullptr;  // where frames that become ours are listed: as many as the result says
    u64 lucky = 0;                // from which place of the pool on they go
};

// A call whose structures, if any, lie in the calling vCPU's scratch memory from `at` on. What would
// legitimately end the machine, or our own kernel, is left out: power, our handlers, our own pages.
Call make_call(Random& r, u64 at);
s64 make(const Call& call);

// Multicalls of calls like that, too.
s64 make_random_call(Random& r);

}  // namespace hostile
