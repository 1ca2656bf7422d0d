// SPDX-License-Identifier: GPL-2.0-or-later
// The linker's note that tells one image from another.
#pragma once

#include <span>

#include "base/types.hpp"

namespace domus {

// The descriptor of the GNU build-id note among ELF notes (ELF gABI, "Note Section"); empty if there is none
// or the notes are cut off.
std::span<const u8> find_build_id(std::span<const u8> notes);

}  // namespace domus
