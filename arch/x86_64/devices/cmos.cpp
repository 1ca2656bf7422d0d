// SPDX-License-Identifier: GPL-2.0-or-later
// The CMOS real-time clock.
#include "arch_devices/cmos.hpp"

#include "drivers/console_stamp.hpp"
#include "port/io.hpp"

namespace domus::x86 {

namespace {

constexpr u16 kIndex = 0x70, kData = 0x71;
enum Register : u8 {
    kSeconds = 0,
    kMinutes = 2,
    kHours = 4,
    kDay = 7,
    kMonth = 8,
    kYear = 9,
    kStatusA = 10,
    kStatusB = 11
};
constexpr u8 kUpdating = 0x80;                 // status A
constexpr u8 kBinary = 0x04, k24Hours = 0x02;  // status B
constexpr u8 kPm = 0x80;                       // hours, in 12-hour mode

u8 read(u8 reg) {
    port::out8(kIndex, reg);
    return port::in8(kData);
}

struct Raw {
    u8 second, minute, hour, day, month, year, century;
    bool operator==(const Raw&) const = default;
};

Raw read_all(u8 century_register) {
    return {read(kSeconds),
            read(kMinutes),
            read(kHours),
            read(kDay),
            read(kMonth),
            read(kYear),
            century_register != 0 ? read(century_register) : u8{0}};
}

u8 from_bcd(u8 v) { return static_cast<u8>((v >> 4) * 10 + (v & 0x0f)); }

}  // namespace

Result<u64> read_cmos_clock(u8 century_register) {
    // The fields may change while they are read: once the update flag is clear two equal readings are a time.
    // An update lasts 2 ms, a read of a register about 1 us.
    constexpr unsigned kUpdateReads = 20'000, kAttempts = 5;
    Raw raw{};
    bool stable = false;
    for (unsigned attempt = 0; attempt < kAttempts && !stable; attempt++) {
        for (unsigned i = 0; i < kUpdateReads && (read(kStatusA) & kUpdating) != 0; i++) port::pause();
        raw = read_all(century_register);
        stable = raw == read_all(century_register) && (read(kStatusA) & kUpdating) == 0;
    }
    if (!stable) return fail(Error::io);

    const u8 status = read(kStatusB);
    const bool pm = (status & k24Hours) == 0 && (raw.hour & kPm) != 0;
    if ((status & k24Hours) == 0) raw.hour &= static_cast<u8>(~kPm);
    if ((status & kBinary) == 0)
        for (u8* field : {&raw.second, &raw.minute, &raw.hour, &raw.day, &raw.month, &raw.year, &raw.century})
            *field = from_bcd(*field);
    if ((status & k24Hours) == 0) raw.hour = static_cast<u8>(raw.hour % 12 + (pm ? 12 : 0));

    CivilTime t;
    t.second = raw.second;
    t.minute = raw.minute;
    t.hour = raw.hour;
    t.day = raw.day;
    t.month = raw.month;
    const u32 century = raw.century >= 19 && raw.century <= 22 ? raw.century : 20u;
    t.year = century * 100 + raw.year;
    if (t.second > 59 || t.minute > 59 || t.hour > 23 || t.day < 1 || t.day > 31 || t.month < 1 ||
        t.month > 12 || raw.year > 99 || t.year < 1970)
        return fail(Error::io);
    return from_civil(t);
}

}  // namespace domus::x86
