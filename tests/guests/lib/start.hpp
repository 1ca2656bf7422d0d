// SPDX-License-Identifier: GPL-2.0-or-later
// What a test kernel's program defines, and what it was told.
#pragma once

#include <string_view>

#include "abi/xen.hpp"
#include "base/types.hpp"

namespace guest {

using namespace domus;

// The program: runs on vCPU 0 with console, memory and traps ready. When it returns, the machine (of dom0) or
// the domain powers off.
void run(const start_info_t& info);

// A number given on the command line as NAME=NUMBER.
u64 option(std::string_view name, u64 otherwise);

// System time, ns.
u64 now();

}  // namespace guest
