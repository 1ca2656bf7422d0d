// SPDX-License-Identifier: GPL-2.0-or-later
// port/context.hpp in host builds: which vCPU each simulated CPU runs, and what the core asked for.
#pragma once

#include <vector>

#include "port/context.hpp"

namespace domus::fakes {

struct Context {
    std::vector<Vcpu*> current = std::vector<Vcpu*>(64);
    u32 switches = 0, contexts_set = 0, contexts_dropped = 0, vcpus = 0;
    bool refuse_context = false, fail_create = false;
    void reset() { *this = Context(); }
};
extern Context context;

}  // namespace domus::fakes
