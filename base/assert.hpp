// SPDX-License-Identifier: GPL-2.0-or-later
// Assertions state what our own code guarantees; they are never reachable from a guest's input.
// ASSERT vanishes from release builds, panic() never does.
#pragma once

#include "base/format.hpp"

namespace domus {

// Ends the machine with an orderly report. `what` is one line: what happened and, where there is something to
// do, what to do. Implemented by the architecture (hypervisor) or by the test harness (host: abort).
[[noreturn]] void panic_text(const char* what);

template <class... Args>
[[noreturn, gnu::cold]] void panic(FormatString<Args...> fmt, const Args&... args) {
    char line[256];
    format_to(line, fmt, args...);
    panic_text(line);
}

#ifdef DOMUS_ASSERTIONS
#define ASSERT(cond)                                                                                       \
    do {                                                                                                   \
        if (!(cond)) [[unlikely]]                                                                          \
            ::domus::panic("assertion failed: {} at {}:{} ({})", #cond, __FILE__, __LINE__, __FUNCTION__); \
    } while (0)
#else
#define ASSERT(cond)                        \
    do {                                    \
        if (false) static_cast<void>(cond); \
    } while (0)
#endif

}  // namespace domus
