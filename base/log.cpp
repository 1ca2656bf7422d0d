// SPDX-License-Identifier: GPL-2.0-or-later
// Where log lines go.
#include "base/log.hpp"

#include <atomic>

namespace domus {

namespace {
constinit std::atomic<LogSink> current_sink{nullptr};
constinit std::atomic<u32> warnings{0};
}  // namespace

void set_log_sink(LogSink sink) { current_sink.store(sink, std::memory_order_release); }

u32 warnings_logged() { return warnings.load(std::memory_order_relaxed); }

void log_text(Level level, bool guest, std::string_view line) {
    if (level <= Level::warning) warnings.fetch_add(1, std::memory_order_relaxed);
    if (LogSink sink = current_sink.load(std::memory_order_acquire)) sink(level, guest, line);
}

}  // namespace domus
