// SPDX-License-Identifier: GPL-2.0-or-later
// Console input: characters go to dom0 or, after the switch character three times (CTRL-A unless conswitch=
// says otherwise), to the hypervisor's debug keys.
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::console {

// conswitch=<char>[x]: the letter of the switch character ("none": no switching); x: input starts with the
// hypervisor. EINVAL.
Result<> set_switch(std::string_view value);

// Where characters for dom0 announce themselves: called after each batch while any wait; sends VIRQ_CONSOLE.
void set_input_notify(void (*notify)());

// Dom0's reads (CONSOLEIO_read): takes up to out.size() characters.
usize read_input(std::span<char> out);

// A device received these characters. Interrupt context.
void receive(std::string_view characters);

}  // namespace domus::console
