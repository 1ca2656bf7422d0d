// SPDX-License-Identifier: GPL-2.0-or-later
// Which lines are shown: thresholds of severity, and a limit on the rate of lines in between.
#pragma once

#include <string_view>

#include "base/log.hpp"
#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {

// The thresholds of loglvl= and guest_loglvl=: "none", "error", "warning", "info", "debug" or "all", or two
// of them with a slash between. Lines of the first level and above are always shown; those up to the second
// at a limited rate; the rest never.
struct LevelThresholds {
    u8 always = 0;   // levels below this number are shown
    u8 limited = 0;  // levels below this number are shown at a limited rate; at least `always`
};
Result<LevelThresholds> parse_levels(std::string_view value);

// At most `burst` lines at once, and one more for each `interval`.
class RateLimit {
  public:
    constexpr RateLimit(u32 burst, Nanos interval) : interval_(interval), burst_(burst), tokens_(burst) {}

    // May a line be shown now? If so, `missed` is set to the number of lines refused since the last one.
    bool admit(Nanos now, u32& missed);

  private:
    Nanos interval_;
    Nanos last_ = 0;
    u32 burst_;
    u32 tokens_;
    u32 missed_ = 0;
};

}  // namespace domus
