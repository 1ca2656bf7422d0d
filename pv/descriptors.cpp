// SPDX-License-Identifier: GPL-2.0-or-later
// Checking descriptors.
#include "pv/descriptors.hpp"

#include "mm/descriptor.hpp"

namespace domus::pv {

std::optional<u64> check_descriptor(bool is_32bit, u64 descriptor) {
    return is_32bit ? pv_descriptor32(descriptor) : pv_descriptor(descriptor);
}

}  // namespace domus::pv
