// SPDX-License-Identifier: GPL-2.0-or-later
// Debug keys: one character runs one report. Pressed on the console, or sent by sysctl debug_keys.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::debug_keys {

// `help` lives for ever. A key that is registered again gets the new handler. EINVAL: not a printable
// character.
Result<> add(char key, const char* help, void (*run)(char key));

// Runs a key's handler; false if there is none.
bool run(char key);

}  // namespace domus::debug_keys
