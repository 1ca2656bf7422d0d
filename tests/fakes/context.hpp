// SPDX-License-Identifier: GPL-2.0-or-later
// port/context.hpp in host builds: which vCPU each simulated CPU runs, and what the core asked for.
#pragma once

#include <functional>
#include <vector>

#include "port/context.hpp"
#include "port/machine.hpp"

namespace domus::fakes {

struct Context {
    std::vector<Vcpu*> current = std::vector<Vcpu*>(64);
    u32 switches = 0, contexts_set = 0, contexts_dropped = 0, vcpus = 0;
    bool refuse_context = false, fail_create = false;
    u32 drop_preempted = 0;  // how often vcpu_drop_context is still interrupted
    // The production functions of pv/, or what a test has in their place.
    std::function<Result<>(Vcpu&, const void*)> set_context;
    std::function<void(const Vcpu&, void*)> get_context = [](const Vcpu&, void*) {};
    std::function<Result<>(Vcpu&)> drop_context;
    port::NmiReport nmis;  // what take_nmis() finds
    void reset() { *this = Context(); }
};
extern Context context;

}  // namespace domus::fakes
