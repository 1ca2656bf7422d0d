// SPDX-License-Identifier: GPL-2.0-or-later
// Clocks: scaling, calibration against simulated counters, the CMOS clock, TSC comparison; and reset and
// sleep.
#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

#include "arch_devices/calibrate.hpp"
#include "arch_devices/clock_math.hpp"
#include "arch_devices/cmos.hpp"
#include "arch_devices/power.hpp"
#include "arch_devices/tsc_sync.hpp"
#include "drivers/console_stamp.hpp"
#include "fakes/io.hpp"
#include "fakes/machine.hpp"

namespace domus::x86 {
namespace {

TEST(ClockMath, ScaleIsExactToFractionsOfAPartPerBillion) {
    for (u64 hz : {1'000'000ull, 333'333'333ull, 1'000'000'000ull, 2'399'987'123ull, 5'000'000'000ull,
                   100'000'000'000ull}) {
        const port::ClockScale s = make_scale(hz);
        EXPECT_GE(s.mul, 1u << 31) << hz;
        for (u64 seconds : {1ull, 3600ull, 86400ull * 365}) {
            const u64 ticks = hz * seconds;
            if (s.shift > 0 && ticks >> (64 - s.shift) != 0) continue;
            const double error =
                static_cast<double>(scale_ticks(s, ticks) - static_cast<Nanos>(seconds) * kSecond) /
                static_cast<double>(seconds);
            EXPECT_NEAR(error, 0, 1.0) << hz << " " << seconds;
        }
    }
}

TEST(ClockMath, MulDiv) {
    std::mt19937_64 random(5);
    for (int i = 0; i < 10000; i++) {
        const u64 a = random() >> random() % 64, b = random() >> random() % 64, c = random() >> random() % 64;
        if (c == 0) continue;
        const unsigned __int128 exact = static_cast<unsigned __int128>(a) * b / c;
        EXPECT_EQ(mul_div(a, b, c), exact >> 64 != 0 ? ~u64{0} : static_cast<u64>(exact));
    }
    EXPECT_EQ(mul_div(1, 1, 0), ~u64{0});
}

TEST(ClockMath, ClockRunsBackwardsBeforeItsBase) {
    port::ClockScale s = make_scale(1'000'000'000);
    s.base_tsc = 1000;
    s.base_ns = 500;
    EXPECT_NEAR(static_cast<double>(clock_at(s, 1100)), 600, 1);
    EXPECT_NEAR(static_cast<double>(clock_at(s, 900)), 400, 1);
}

TEST(ClockMath, DeadlinesAreNeverEarly) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 10000; i++) {
        const u64 hz = 1'000'000 + random() % 5'000'000'000;
        const u64 ns = random() % (u64{1} << (random() % 44));
        const port::ClockScale s = make_scale(hz);
        EXPECT_GE(scale_ticks(s, ticks_of(make_rate(s), ns)) + 1, static_cast<Nanos>(ns)) << hz << " " << ns;
    }
}

// A machine whose time is the TSC; every access costs some of it, and now and then the host takes the CPU
// away.
struct Clocks : fakes::IoBus {
    u64 tsc_hz = 2'345'678'901;
    u64 now_ticks = 1'000'000;
    u64 access_cost = 2000;  // about a microsecond
    u64 steal_every = 0, steal_ticks = 0, accesses = 0;
    bool stuck = false;
    u64 counter_hz = 3'579'545, counter_mask = 0xffffff;
    std::map<u16, u32> last_out;
    u8 pit_latch[2] = {};
    int pit_byte = 0;

    void spend(u64 ticks) {
        now_ticks += ticks;
        if (steal_every != 0 && ++accesses % steal_every == 0) now_ticks += steal_ticks;
    }
    u64 counter(u64 hz) const {
        return stuck ? 7 : static_cast<u64>(static_cast<unsigned __int128>(now_ticks) * hz / tsc_hz);
    }
    u64 read_tsc() override {
        spend(20);
        return now_ticks;
    }
    u32 in(u16 port, unsigned) override {
        spend(access_cost);
        if (port == 0x608) return static_cast<u32>(counter(counter_hz) & counter_mask);
        if (port == 0x42) return pit_latch[pit_byte++ & 1];
        return 0;
    }
    void out(u16 port, unsigned, u32 v) override {
        spend(access_cost);
        last_out[port] = v;
        if (port == 0x43 && v == 0x80) {
            const u32 down = 0x10000 - static_cast<u32>(counter(1'193'182) & 0xffff);
            pit_latch[0] = static_cast<u8>(down);
            pit_latch[1] = static_cast<u8>(down >> 8);
            pit_byte = 0;
        }
    }
    u64 mmio_read(const volatile void* at, unsigned size) override {
        spend(access_cost / 2);
        const auto offset = static_cast<const volatile u8*>(at) - hpet;
        if (offset == 4) return period;
        if (offset == 0xf0) return counter(1'000'000'000'000'000 / period) & 0xffffffff;
        return IoBus::mmio_read(at, size);
    }
    u8 hpet[1024] = {};
    u64 period = 10'000'000;  // 100 MHz
};

AcpiFadt fadt_with_pm_timer() {
    AcpiFadt f;
    f.present = true;
    f.pm_timer = {AcpiRegister::Space::io, 32, 0x608};
    return f;
}

double ppm(u64 measured, u64 real) {
    return (static_cast<double>(measured) - static_cast<double>(real)) / static_cast<double>(real) * 1e6;
}

TEST(Calibrate, EveryReferenceAgrees) {
    Clocks hw;
    for (const PlatformTimer& t : {hpet_timer(hw.hpet), pm_timer(fadt_with_pm_timer()), pit_timer()}) {
        ASSERT_NE(t.hz, 0u) << t.name;
        const Calibration c = calibrate_tsc(t);
        EXPECT_NEAR(ppm(c.hz, hw.tsc_hz), 0, 200) << t.name;
        EXPECT_LE(std::abs(ppm(c.hz, hw.tsc_hz)), c.error_ppm + 1) << t.name << ": the bound holds";
    }
}

TEST(Calibrate, QuickWhenTheHardwareIs) {
    Clocks hw;
    hw.access_cost = 200;
    const u64 begin = hw.now_ticks;
    const Calibration c = calibrate_tsc(hpet_timer(hw.hpet));
    EXPECT_LE(c.error_ppm, 100u);
    EXPECT_LT(hw.now_ticks - begin, hw.tsc_hz / 50) << "no more than 20 ms";
}

TEST(Calibrate, SurvivesALoadedHost) {
    for (u64 every : {3, 7, 11, 50, 1000}) {
        Clocks hw;
        hw.steal_every = every;
        hw.steal_ticks = hw.tsc_hz / 200;  // 5 ms away
        const Calibration c = calibrate_tsc(pm_timer(fadt_with_pm_timer()));
        ASSERT_NE(c.hz, 0u);
        EXPECT_LE(std::abs(ppm(c.hz, hw.tsc_hz)), c.error_ppm + 1) << every;
        if (every >= 11) {
            EXPECT_NEAR(ppm(c.hz, hw.tsc_hz), 0, 500) << every;
        }
    }
}

TEST(Calibrate, DeadCountersAreNoReference) {
    Clocks hw;
    hw.stuck = true;
    EXPECT_EQ(pm_timer(fadt_with_pm_timer()).hz, 0u);
    EXPECT_EQ(hpet_timer(hw.hpet).hz, 0u);
    hw.stuck = false;
    hw.period = 0;
    EXPECT_EQ(hpet_timer(hw.hpet).hz, 0u);
    hw.period = 0xffffffff;
    EXPECT_EQ(hpet_timer(hw.hpet).hz, 0u);
    EXPECT_EQ(pm_timer({}).hz, 0u);
    EXPECT_EQ(calibrate_tsc({}).hz, 0u);
}

TEST(Calibrate, DeclaredFrequency) {
    EXPECT_EQ(declared_tsc_hz({2, 216, 24'000'000}), 2'592'000'000u);
    EXPECT_EQ(declared_tsc_hz({2, 216, 0}), 0u);
    EXPECT_EQ(declared_tsc_hz({}), 0u);
}

struct FakeCmos : fakes::IoBus {
    u8 index = 0;
    std::map<u8, u8> regs;
    int updating = 0;       // reads of status A that show an update
    bool restless = false;  // the time changes with every read
    void out(u16 port, unsigned, u32 v) override {
        if (port == 0x70) index = static_cast<u8>(v & 0x7f);
    }
    u32 in(u16 port, unsigned) override {
        if (port != 0x71) return 0xff;
        if (index == 10) return updating > 0 ? updating--, 0xa6u : 0x26u;
        if (index == 0 && restless) return regs[0]++ & 0x0f;
        return regs[index];
    }
};

TEST(Cmos, BcdBinaryAndTwelveHours) {
    FakeCmos hw;
    hw.regs = {{0, 0x59}, {2, 0x58}, {4, 0x23}, {7, 0x31}, {8, 0x12}, {9, 0x25}, {0x32, 0x20}, {11, 0x02}};
    const u64 expected = from_civil({2025, 12, 31, 23, 58, 59});
    EXPECT_EQ(read_cmos_clock(0x32).value(), expected);
    hw.updating = 3;
    EXPECT_EQ(read_cmos_clock(0).value(), expected);
    hw.regs = {{0, 59}, {2, 58}, {4, 0x80 | 11}, {7, 31}, {8, 12}, {9, 25}, {11, 0x04}};
    EXPECT_EQ(read_cmos_clock(0).value(), expected) << "binary, 11 pm";
    hw.regs[4] = 12;
    EXPECT_EQ(read_cmos_clock(0).value(), expected - 23 * 3600) << "12 am is midnight";
}

TEST(Cmos, NonsenseIsRefused) {
    FakeCmos hw;
    hw.regs = {{0, 0x59}, {2, 0x58}, {4, 0x23}, {7, 0x31}, {8, 0x13}, {9, 0x25}, {11, 0x02}};
    EXPECT_EQ(read_cmos_clock(0).error(), Error::io);
    hw.regs[8] = 0x12;
    hw.restless = true;
    EXPECT_EQ(read_cmos_clock(0).error(), Error::io);
    fakes::IoBus nothing;
    EXPECT_EQ(read_cmos_clock(0x32).error(), Error::io);
}

TEST(TscSync, FindsAnOffsetBetweenTwoThreads) {
    static thread_local s64 skew = 0;
    struct : fakes::IoBus {
        u64 read_tsc() override {
            const auto t = std::chrono::steady_clock::now().time_since_epoch();
            return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(t).count() + skew);
        }
        void pause() override { std::this_thread::yield(); }
    } hw;
    for (s64 real : {s64{0}, s64{50'000'000}, s64{-50'000'000}}) {
        TscSync sync;
        std::thread other([&] {
            skew = real;
            sync.answer_all(u64{10'000'000'000});
        });
        const auto offset = sync.ask_all(u64{1'000'000'000}, u64{10'000'000'000});
        other.join();
        ASSERT_TRUE(offset.measured);
        EXPECT_LE(static_cast<u64>(std::abs(offset.ticks + real)), offset.error + 1);
        if (real == 0) {
            EXPECT_EQ(correction(offset), 0);
        } else if (offset.error < 40'000'000) {
            EXPECT_NE(correction(offset), 0);
        }
    }
}

TEST(TscSync, GivesUpOnASilentPartner) {
    fakes::IoBus hw;
    TscSync sync;
    EXPECT_FALSE(sync.ask_all(1000, 1'000'000).measured);
    EXPECT_EQ(correction({}), 0);
    TscSync alone;
    alone.answer_all(1'000'000);
}

struct PowerBus : fakes::IoBus {
    std::vector<std::pair<u16, u32>> writes;
    u16 pm1a = 0x0001;
    u16 status = 0;
    void out(u16 port, unsigned, u32 v) override { writes.push_back({port, v}); }
    u32 in(u16 port, unsigned) override { return port == 0x604 ? pm1a : port == 0x600 ? status : 0u; }
};

TEST(Power, ResetMethodsInOrder) {
    PowerBus hw;
    PciConfig pci;
    AcpiInfo acpi;
    acpi.fadt.reset = {AcpiRegister::Space::io, 8, 0xb2};
    acpi.fadt.reset_value = 0x5a;
    reset_machine(acpi, pci, ResetMethod::acpi, [](u32) {});
    ASSERT_FALSE(hw.writes.empty());
    EXPECT_EQ(hw.writes.front(), (std::pair<u16, u32>{0xb2, 0x5a}));
    EXPECT_EQ(hw.writes[1], (std::pair<u16, u32>{0x64, 0xfe}));
    EXPECT_EQ(hw.writes.back(), (std::pair<u16, u32>{0xcf9, 0x06}));

    hw.writes.clear();
    acpi.fadt.has_8042 = false;
    reset_machine(acpi, pci, ResetMethod::pci, [](u32) {});
    EXPECT_EQ(hw.writes.front(), (std::pair<u16, u32>{0xcf9, 0x02}));
    EXPECT_EQ(hw.writes.back(), (std::pair<u16, u32>{0xb2, 0x5a}));
    hw.writes.clear();
    reset_machine(acpi, pci, ResetMethod::triple_fault, [](u32) {});
    EXPECT_TRUE(hw.writes.empty());
    EXPECT_EQ(parse_reset_method("kbd").value(), ResetMethod::keyboard);
    EXPECT_FALSE(parse_reset_method("x"));
}

TEST(Power, SleepWritesTypeThenEnable) {
    PowerBus hw;
    AcpiFadt f;
    EXPECT_EQ(enter_sleep(f, 0x1400, 0, [](u32) {}).error(), Error::nodev);
    f.pm1a_control = {AcpiRegister::Space::io, 16, 0x604};
    f.pm1a_event = {AcpiRegister::Space::io, 32, 0x600};
    ASSERT_TRUE(enter_sleep(f, 0xffff & ~(1 << 11), 0, [](u32) {}));
    // Only the type (bits 10 to 12) comes from the caller; SCI_EN is kept.
    EXPECT_EQ(hw.writes,
              (std::vector<std::pair<u16, u32>>{{0x600, 0x8000}, {0x604, 0x1401}, {0x604, 0x3401}}));
    hw.writes.clear();
    hw.status = 0x8000;
    f.pm1b_control = {AcpiRegister::Space::io, 16, 0x614};
    ASSERT_TRUE(enter_sleep(f, 0x0400, 0x0800, [](u32) {}));
    EXPECT_EQ(hw.writes.back(), (std::pair<u16, u32>{0x614, 0x2800}));
}

}  // namespace
}  // namespace domus::x86
