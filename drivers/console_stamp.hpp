// SPDX-License-Identifier: GPL-2.0-or-later
// The time in front of a log line (console_timestamps=).
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"
#include "base/types.hpp"
#include "port/time.hpp"

namespace domus {

enum class StampKind : u8 { none, date, datems, boot, raw };
Result<StampKind> parse_stamp_kind(std::string_view value);

// A day and time of the Gregorian calendar, UTC.
struct CivilTime {
    u32 year = 1970, month = 1, day = 1;  // month and day from 1
    u32 hour = 0, minute = 0, second = 0;
    constexpr bool operator==(const CivilTime&) const = default;
};
CivilTime to_civil(u64 seconds_since_1970);
u64 from_civil(const CivilTime& t);  // fields in range, year 1970 or later

// Writes "[…] " for the given system time; dates need the wall clock at system time 0. Returns the length.
usize format_stamp(std::span<char> out, StampKind kind, Nanos now, u64 tsc, port::WallClock at_zero);

}  // namespace domus
