// SPDX-License-Identifier: GPL-2.0-or-later
// What the ABI calls the commands that Domus does not have, for the log.
#pragma once

#include "base/types.hpp"

namespace domus::hypercall {

// The name of command `number` of a family ("domctl", "sysctl", "memory_op", "platform_op"); null for one
// that Domus has, or nobody has.
const char* absent_name(const char* family, u64 number);

}  // namespace domus::hypercall
