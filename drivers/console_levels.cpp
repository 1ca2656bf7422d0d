// SPDX-License-Identifier: GPL-2.0-or-later
// Level thresholds and the rate limit of log lines.
#include "drivers/console_levels.hpp"

#include <algorithm>
#include <optional>

#include "drivers/parse.hpp"

namespace domus {

namespace {

std::optional<u8> level_count(std::string_view name) {
    constexpr std::string_view kNames[] = {"none", "error", "warning", "info", "debug"};
    if (name == "all") return u8{4};
    for (usize i = 0; i < std::size(kNames); i++)
        if (name == kNames[i]) return static_cast<u8>(i);
    return std::nullopt;
}

}  // namespace

Result<LevelThresholds> parse_levels(std::string_view value) {
    const bool two = value.find('/') != std::string_view::npos;
    const auto always = level_count(cut(value, '/'));
    const auto limited = two ? level_count(value) : always;
    if (!always || !limited) return fail(Error::inval);
    return LevelThresholds{*always, std::max(*always, *limited)};
}

bool RateLimit::admit(Nanos now, u32& missed) {
    const Nanos passed = now - last_;
    if (passed >= interval_) {
        const u64 earned = static_cast<u64>(passed / interval_);
        tokens_ = static_cast<u32>(std::min<u64>(burst_, tokens_ + earned));
        last_ = now;
    }
    if (tokens_ == 0) {
        missed_++;
        return false;
    }
    tokens_--;
    missed = missed_;
    missed_ = 0;
    return true;
}

}  // namespace domus
