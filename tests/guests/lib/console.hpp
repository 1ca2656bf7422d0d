// SPDX-License-Identifier: GPL-2.0-or-later
// Lines of text: for dom0 on the hypervisor's console, for another domain on its own.
#pragma once

#include "abi/xen.hpp"
#include "base/format.hpp"

namespace guest {

using namespace domus;

void init_console(const start_info_t& info);
void print(std::string_view text);

template <class... Args>
void say(FormatString<Args...> fmt, const Args&... args) {
    char line[256];
    const usize n = format_to(std::span(line, sizeof line - 1), fmt, args...);
    line[n] = '\n';
    print(std::string_view(line, n + 1));
}

}  // namespace guest
