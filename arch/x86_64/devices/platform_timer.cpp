// SPDX-License-Identifier: GPL-2.0-or-later
// HPET, PM timer and PIT as counters.
#include "arch_devices/platform_timer.hpp"

#include "port/io.hpp"

namespace domus::x86 {

namespace {

// A counter that stands still is no clock: looks for a change within a bounded number of reads.
bool counts(const PlatformTimer& t) {
    const u64 first = t.read(t);
    for (unsigned i = 0; i < 100'000; i++)
        if (t.read(t) != first) return true;
    return false;
}

// HPET registers (2.3).
constexpr u32 kHpetCapabilities = 0x000, kHpetConfiguration = 0x010, kHpetCounter = 0x0f0;
constexpr u64 kHpetEnable = 1;
constexpr u64 kFemtosecondsPerSecond = 1'000'000'000'000'000;
constexpr u64 kHpetLongestPeriod = 100'000'000;  // femtoseconds: 10 MHz at least (2.3.4)

// PIT (8254): channel 2, its gate and output in port 0x61.
constexpr u16 kPitChannel2 = 0x42, kPitCommand = 0x43, kGate = 0x61;
constexpr u64 kPitHz = 1'193'182, kPmHz = 3'579'545;

}  // namespace

PlatformTimer hpet_timer(volatile void* page) {
    PlatformTimer t;
    t.name = "HPET";
    t.page = static_cast<volatile u8*>(page);
    const u64 period = port::mmio_read<u32>(t.page + kHpetCapabilities + 4);
    if (period == 0 || period > kHpetLongestPeriod) return {};
    // The low half is enough and is read at once on every HPET.
    t.mask = 0xffffffff;
    t.read = [](const PlatformTimer& self) -> u64 { return port::mmio_read<u32>(self.page + kHpetCounter); };
    const u32 config = port::mmio_read<u32>(t.page + kHpetConfiguration);
    if ((config & kHpetEnable) == 0) port::mmio_write<u32>(t.page + kHpetConfiguration, config | kHpetEnable);
    t.hz = (kFemtosecondsPerSecond + period / 2) / period;
    return counts(t) ? t : PlatformTimer{};
}

PlatformTimer pm_timer(const AcpiFadt& fadt) {
    const AcpiRegister& r = fadt.pm_timer;
    if (!fadt.present || !r.valid() || r.space != AcpiRegister::Space::io || r.address > 0xfffc) return {};
    PlatformTimer t;
    t.name = "ACPI PM timer";
    t.port = static_cast<u16>(r.address);
    t.mask = fadt.pm_timer_32bit ? 0xffffffff : 0xffffff;
    t.read = [](const PlatformTimer& self) -> u64 { return port::in32(self.port) & self.mask; };
    t.hz = kPmHz;
    return counts(t) ? t : PlatformTimer{};
}

PlatformTimer pit_timer() {
    port::out8(kGate, static_cast<u8>((port::in8(kGate) & ~0x02) | 0x01));  // speaker off, gate on
    port::out8(kPitCommand, 0xb4);  // channel 2, both bytes, mode 2 (rate)
    port::out8(kPitChannel2, 0);
    port::out8(kPitChannel2, 0);  // 0 counts as 2^16
    PlatformTimer t;
    t.name = "PIT";
    t.mask = 0xffff;
    t.read = [](const PlatformTimer&) -> u64 {
        port::out8(kPitCommand, 0x80);  // latch channel 2
        const u8 low = port::in8(kPitChannel2);
        const u8 high = port::in8(kPitChannel2);
        return (0u - static_cast<u32>(high << 8 | low)) & 0xffffu;  // it counts down
    };
    t.hz = kPitHz;
    return counts(t) ? t : PlatformTimer{};
}

}  // namespace domus::x86
