// SPDX-License-Identifier: GPL-2.0-or-later
// Time stamps and the calendar behind them.
#include "drivers/console_stamp.hpp"

#include "base/format.hpp"

namespace domus {

Result<StampKind> parse_stamp_kind(std::string_view value) {
    if (value == "none" || value == "0" || value == "no" || value == "off") return StampKind::none;
    if (value.empty() || value == "date" || value == "1" || value == "yes" || value == "on")
        return StampKind::date;
    if (value == "datems") return StampKind::datems;
    if (value == "boot") return StampKind::boot;
    if (value == "raw") return StampKind::raw;
    return fail(Error::inval);
}

namespace {
constexpr u64 kSecondsPerDay = 86400;

// The calendar repeats every 400 years, an era; years are counted from March so that the leap day comes last.
// A month's first day in such a year is (153 * month + 2) / 5, as months alternate 31, 30, 31, 30, 31.
constexpr u64 kDaysPerEra = 146097;
constexpr u64 kDaysToEpoch = 719468;  // from 0000-03-01 to 1970-01-01
}  // namespace

CivilTime to_civil(u64 seconds) {
    const u64 days = seconds / kSecondsPerDay + kDaysToEpoch;
    const u64 in_day = seconds % kSecondsPerDay;
    const u64 era = days / kDaysPerEra;
    const u64 day_of_era = days % kDaysPerEra;
    const u64 year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (kDaysPerEra - 1)) / 365;
    const u64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const u64 month = (5 * day_of_year + 2) / 153;  // 0 is March
    CivilTime t;
    t.day = static_cast<u32>(day_of_year - (153 * month + 2) / 5 + 1);
    t.month = static_cast<u32>(month < 10 ? month + 3 : month - 9);
    t.year = static_cast<u32>(era * 400 + year_of_era + (t.month <= 2 ? 1 : 0));
    t.hour = static_cast<u32>(in_day / 3600);
    t.minute = static_cast<u32>(in_day / 60 % 60);
    t.second = static_cast<u32>(in_day % 60);
    return t;
}

u64 from_civil(const CivilTime& t) {
    const u64 year = t.month <= 2 ? t.year - 1 : t.year;
    const u64 month = t.month > 2 ? t.month - 3 : t.month + 9;
    const u64 era = year / 400, year_of_era = year % 400;
    const u64 day_of_year = (153 * month + 2) / 5 + t.day - 1;
    const u64 day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    const u64 days = era * kDaysPerEra + day_of_era - kDaysToEpoch;
    return days * kSecondsPerDay + t.hour * 3600 + t.minute * 60 + t.second;
}

usize format_stamp(std::span<char> out, StampKind kind, Nanos now, u64 tsc, port::WallClock at_zero) {
    const u64 ns = now < 0 ? 0 : static_cast<u64>(now);
    switch (kind) {
        case StampKind::none: break;
        case StampKind::boot:
            return format_to(out, "[{:5}.{:06}] ", ns / kSecond, ns % kSecond / kMicrosecond);
        case StampKind::raw: return format_to(out, "[{}] ", tsc);
        case StampKind::date:
        case StampKind::datems: {
            if (at_zero.seconds == 0) return format_stamp(out, StampKind::boot, now, tsc, at_zero);
            const u64 wall = ns + at_zero.nanoseconds;
            const CivilTime t = to_civil(at_zero.seconds + wall / kSecond);
            if (kind == StampKind::date)
                return format_to(out, "[{}-{:02}-{:02} {:02}:{:02}:{:02}] ", t.year, t.month, t.day, t.hour,
                                 t.minute, t.second);
            return format_to(out, "[{}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}] ", t.year, t.month, t.day, t.hour,
                             t.minute, t.second, wall % kSecond / kMillisecond);
        }
    }
    return 0;
}

}  // namespace domus
