// SPDX-License-Identifier: GPL-2.0-or-later
// The table that boot fills in.
#include "hypercall/platform.hpp"

namespace domus::hypercall {

namespace {
constinit Platform the_platform{};
}

Platform& platform() { return the_platform; }

}  // namespace domus::hypercall
