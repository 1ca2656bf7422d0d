// SPDX-License-Identifier: GPL-2.0-or-later
// Checking descriptors.
#include "pv/descriptors.hpp"

#include "mm/descriptor.hpp"

namespace domus::pv {

std::optional<u64> check_descriptor(u64 descriptor) { return pv_descriptor(descriptor); }

}  // namespace domus::pv
