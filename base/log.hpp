// SPDX-License-Identifier: GPL-2.0-or-later
// One line of log at a time. The console driver installs the sink; until then lines are kept in an early
// buffer of their own (drivers/console) by whoever set the sink first. Levels are those of Xen's loglvl=
// option.
#pragma once

#include "base/format.hpp"

namespace domus {

enum class Level : u8 { error, warning, info, debug };

// Receives complete lines without a trailing newline, on any CPU, in any context including NMI; must not
// allocate. `guest` is true for lines that report on a guest's behaviour (guest_loglvl= applies).
using LogSink = void (*)(Level level, bool guest, std::string_view line);
void set_log_sink(LogSink sink);
void log_text(Level level, bool guest, std::string_view line);

// How many warnings and errors there have been, of all CPUs: whether something has been said already.
u32 warnings_logged();

template <class... Args>
[[gnu::cold]] void log(Level level, FormatString<Args...> fmt, const Args&... args) {
    char line[256];
    log_text(level, false, std::string_view(line, format_to(line, fmt, args...)));
}

// A line on what a guest did; limited in rate by the sink, since a guest can cause it at will.
template <class... Args>
[[gnu::cold]] void guest_log(Level level, FormatString<Args...> fmt, const Args&... args) {
    char line[256];
    log_text(level, true, std::string_view(line, format_to(line, fmt, args...)));
}

}  // namespace domus
