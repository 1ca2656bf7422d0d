// SPDX-License-Identifier: GPL-2.0-or-later
// The console: ring, levels, rate limits, stamps, outputs, input switch, debug keys, VGA text.
#include "drivers/console.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/log.hpp"
#include "drivers/console_input.hpp"
#include "drivers/console_levels.hpp"
#include "drivers/console_ring.hpp"
#include "drivers/console_stamp.hpp"
#include "drivers/debug_keys.hpp"
#include "drivers/vga_text.hpp"
#include "fakes/io.hpp"
#include "fakes/machine.hpp"

namespace domus {
namespace {

TEST(CharRing, KeepsTheNewestAndMovesReadersUp) {
    char storage[8];
    CharRing ring(storage);
    ring.put("abcdef");
    char out[16];
    u32 from = 0;
    EXPECT_EQ(std::string(out, ring.read(from, out)), "abcdef");
    EXPECT_EQ(from, 6u);
    EXPECT_EQ(ring.read(from, out), 0u);
    ring.put("ghijkl");
    from = 0;
    EXPECT_EQ(std::string(out, ring.read(from, std::span(out, 3))), "efg");
    EXPECT_EQ(std::string(out, ring.read(from, out)), "hijkl");
    from = 100;  // from the future, or wrapped
    EXPECT_EQ(std::string(out, ring.read(from, out)), "efghijkl");
}

TEST(CharRing, MovesToLargerAndSmallerStorage) {
    char small[8], large[16], tiny[4], out[16];
    CharRing ring(small);
    ring.put("0123456789");
    ring.move_to(large);
    ring.put("ab");
    u32 from = ring.oldest();
    EXPECT_EQ(std::string(out, ring.read(from, out)), "23456789ab");
    ring.move_to(tiny);
    from = ring.oldest();
    EXPECT_EQ(std::string(out, ring.read(from, out)), "89ab");
    EXPECT_EQ(from, 12u);
}

TEST(ConsoleLevels, ParsesEveryForm) {
    auto t = parse_levels("all").value();
    EXPECT_EQ(t.always, 4);
    EXPECT_EQ(t.limited, 4);
    t = parse_levels("none/warning").value();
    EXPECT_EQ(t.always, 0);
    EXPECT_EQ(t.limited, 2);
    t = parse_levels("info/error").value();  // an upper bound below the lower one has no effect
    EXPECT_EQ(t.always, 3);
    EXPECT_EQ(t.limited, 3);
    for (const char* bad : {"", "loud", "info/", "/info", "info/debug/all", "errors"})
        EXPECT_FALSE(parse_levels(bad)) << bad;
}

TEST(RateLimit, BurstThenRefillAndCountOfMissed) {
    RateLimit limit(2, kSecond);
    u32 missed = 99;
    EXPECT_TRUE(limit.admit(0, missed));
    EXPECT_TRUE(limit.admit(0, missed));
    EXPECT_FALSE(limit.admit(0, missed));
    EXPECT_FALSE(limit.admit(kSecond - 1, missed));
    EXPECT_TRUE(limit.admit(kSecond, missed));
    EXPECT_EQ(missed, 2u);
    EXPECT_FALSE(limit.admit(kSecond, missed));
    EXPECT_TRUE(limit.admit(100 * kSecond, missed));
    EXPECT_TRUE(limit.admit(100 * kSecond, missed));
    EXPECT_FALSE(limit.admit(100 * kSecond, missed)) << "no more than the burst is saved up";
}

TEST(Calendar, KnownDaysAndRoundTrip) {
    EXPECT_EQ(to_civil(0), (CivilTime{1970, 1, 1, 0, 0, 0}));
    EXPECT_EQ(to_civil(951782400), (CivilTime{2000, 2, 29, 0, 0, 0}));
    EXPECT_EQ(to_civil(1767225599), (CivilTime{2025, 12, 31, 23, 59, 59}));
    EXPECT_EQ(to_civil(4107542400), (CivilTime{2100, 3, 1, 0, 0, 0}));  // 2100 is no leap year
    for (u64 s = 0; s < 8'000'000'000; s += 86400 * 13 + 3607) EXPECT_EQ(from_civil(to_civil(s)), s);
}

TEST(Stamps, Forms) {
    char out[48];
    const port::WallClock wall{1767225599, 999'500'000};
    auto stamp = [&](StampKind k, Nanos now, port::WallClock w) {
        return std::string(out, format_stamp(out, k, now, 1234, w));
    };
    EXPECT_EQ(stamp(StampKind::boot, 12'345'678'901, wall), "[   12.345678] ");
    EXPECT_EQ(stamp(StampKind::raw, 5, wall), "[1234] ");
    EXPECT_EQ(stamp(StampKind::date, 400'000, wall), "[2025-12-31 23:59:59] ");
    EXPECT_EQ(stamp(StampKind::datems, 3'500'000, wall), "[2026-01-01 00:00:00.003] ");
    EXPECT_EQ(stamp(StampKind::date, kSecond, {}), "[    1.000000] ") << "no wall clock yet";
    EXPECT_EQ(stamp(StampKind::none, 5, wall), "");
    EXPECT_FALSE(parse_stamp_kind("sometimes"));
}

struct Console : testing::Test {
    Console() {
        console::testing::reset();
        console::init();
    }
    ~Console() override { console::testing::reset(); }
    console::Output output() {
        return {[](void* d, std::string_view t) { static_cast<Console*>(d)->shown += t; }, this};
    }
    std::string take() { return std::exchange(shown, {}); }

    fakes::Machine machine;
    std::string shown;
};

TEST_F(Console, OutputAttachedLateSeesEarlyLines) {
    log(Level::error, "early {}", 1);
    ASSERT_TRUE(console::attach(output()));
    EXPECT_EQ(take(), "(domus) early 1\n");
    log(Level::warning, "later");
    EXPECT_EQ(take(), "(domus) later\n");
}

TEST_F(Console, ThresholdsApartForHostAndGuests) {
    ASSERT_TRUE(console::attach(output()));
    log(Level::info, "dropped by default");
    EXPECT_EQ(take(), "");
    console::configure(*parse_levels("all"), *parse_levels("error"), StampKind::none);
    log(Level::debug, "host");
    guest_log(Level::warning, "guest warning");
    guest_log(Level::error, "guest error");
    EXPECT_EQ(take(), "(domus) host\n(domus) guest error\n");
}

TEST_F(Console, GuestLinesAreLimitedAndTheLossIsTold) {
    ASSERT_TRUE(console::attach(output()));
    machine.now = kSecond;
    for (int i = 0; i < 100; i++) guest_log(Level::error, "spam");
    EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 10);
    take();
    machine.now += 500 * kMillisecond;
    guest_log(Level::error, "again");
    EXPECT_EQ(take(), "(domus) (90 lines suppressed)\n(domus) again\n");
}

TEST_F(Console, RawOutputKeepsLinesWhole) {
    ASSERT_TRUE(console::attach(output()));
    console::write_dom0("half a li");
    log(Level::error, "oops");
    console::write_dom0("ne\n");
    log(Level::error, "fine");
    EXPECT_EQ(take(), "half a li\n(domus) oops\nne\n(domus) fine\n");
}

TEST_F(Console, GuestTextIsCleaned) {
    ASSERT_TRUE(console::attach(output()));
    console::write_guest(DomId(7), "a\x1b[2Jb\tc\n");
    EXPECT_EQ(take(), "(d7) a[2Jb\tc\n");
    console::write_guest(DomId(7), std::string(1000, 'x'));
    EXPECT_LE(take().size(), 257u);
}

TEST_F(Console, StampsInFrontOfLines) {
    ASSERT_TRUE(console::attach(output()));
    console::configure({2, 2}, {0, 2}, StampKind::boot);
    machine.now = 2 * kSecond;
    log(Level::error, "x");
    EXPECT_EQ(take(), "(domus) [    2.000000] x\n");
}

TEST_F(Console, RingReadsLikeReadconsole) {
    log(Level::error, "one");
    char out[64];
    u32 index = console::ring_start();
    EXPECT_EQ(std::string(out, console::read_ring(index, out)), "(domus) one\n");
    console::clear_ring();
    log(Level::error, "two");
    index = console::ring_start();
    EXPECT_EQ(std::string(out, console::read_ring(index, out)), "(domus) two\n");
    EXPECT_EQ(index, console::ring_end());
    static char larger[65536];
    console::set_ring(larger);
    index = 0;
    EXPECT_EQ(std::string(out, console::read_ring(index, out)), "(domus) one\n(domus) two\n");
}

TEST_F(Console, RingHoldsOnlyTheHypervisorsWords) {
    ASSERT_TRUE(console::attach(output()));
    u32 index = console::ring_end();
    console::write_dom0("dom0 says half a li");
    log(Level::error, "oops");
    console::write_dom0("ne\n");
    char out[64];
    EXPECT_EQ(std::string(out, console::read_ring(index, out)), "(domus) oops\n");
    EXPECT_EQ(take(), "dom0 says half a li\n(domus) oops\nne\n");
    console::write_raw("keys\n");
    EXPECT_EQ(std::string(out, console::read_ring(index, out)), "keys\n");
}

TEST_F(Console, TellsWhenTheRingHasGrown) {
    static int told;
    told = 0;
    log(Level::error, "before");
    console::set_ring_notify([] { told++; });
    log(Level::error, "one");
    EXPECT_EQ(told, 1);
    console::write_raw("half a line, ");
    EXPECT_EQ(told, 1) << "not for each character";
    console::write_raw("and its end\n");
    EXPECT_EQ(told, 2);
    log(Level::debug, "nobody reads this");
    console::write_dom0("nor is this the ring's\n");
    EXPECT_EQ(told, 2);
}

TEST_F(Console, ReentryFromTheOutputDoesNotHang) {
    // An NMI that logs while this CPU is inside the console.
    static bool once;
    once = true;
    ASSERT_TRUE(console::attach({[](void*, std::string_view) {
                                     if (std::exchange(once, false)) log(Level::error, "nested");
                                 },
                                 nullptr}));
    ASSERT_TRUE(console::attach(output()));
    log(Level::error, "outer");
    EXPECT_NE(shown.find("nested"), std::string::npos);
    EXPECT_NE(shown.find("outer"), std::string::npos);
}

TEST_F(Console, PanicShowsEveryLevel) {
    ASSERT_TRUE(console::attach(output()));
    console::enter_panic();
    log(Level::debug, "last words");
    EXPECT_EQ(take(), "(domus) last words\n");
}

TEST_F(Console, InputGoesToDom0AndSwitches) {
    ASSERT_TRUE(console::attach(output()));
    static int notified;
    static std::string keys;
    notified = 0;
    keys.clear();
    console::set_input_notify([] { notified++; });
    ASSERT_TRUE(debug_keys::add('q', "quit nothing", [](char c) { keys += c; }));
    char out[64];

    console::receive("hi");
    EXPECT_EQ(notified, 2);
    EXPECT_EQ(std::string(out, console::read_input(out)), "hi");
    EXPECT_EQ(console::read_input(out), 0u);

    console::receive("\x01\x01z\x01");  // not three in a row: dom0 gets them all
    EXPECT_EQ(std::string(out, console::read_input(out)), "\x01\x01z\x01");
    console::receive("\x01");
    console::receive("\x01q");
    EXPECT_EQ(keys, "q");
    take();
    console::receive("h");
    EXPECT_NE(shown.find("q  quit nothing"), std::string::npos);
    EXPECT_NE(shown.find("debug key 'h'"), std::string::npos);
    console::receive("\x01\x01\x01q");
    EXPECT_EQ(keys, "q");
    console::read_input(out);

    for (int i = 0; i < 5000; i++) console::receive("y");
    usize total = 0, n;
    while ((n = console::read_input(out)) != 0) total += n;
    EXPECT_EQ(total, 1024u) << "a full ring drops";
    console::set_input_notify(nullptr);
}

TEST_F(Console, SwitchOption) {
    for (const char* bad : {"", "1", "ab", "axx", "-"}) EXPECT_FALSE(console::set_switch(bad)) << bad;
    ASSERT_TRUE(console::set_switch("bx"));
    char out[8];
    console::receive("z");
    EXPECT_EQ(console::read_input(out), 0u);
    console::receive("\x02\x02\x02z");
    EXPECT_EQ(std::string(out, console::read_input(out)), "z");
    ASSERT_TRUE(console::set_switch("a"));
}

TEST(DebugKeys, RefusesWhatCannotBeTyped) {
    EXPECT_FALSE(debug_keys::add('\n', "", [](char) {}));
    EXPECT_FALSE(debug_keys::run('\x07'));
    EXPECT_FALSE(debug_keys::run(static_cast<char>(200)));
}

TEST(VgaText, WritesWrapsScrolls) {
    fakes::IoBus bus;
    static u16 cells[80 * 25];
    VgaText vga;
    vga.write("before init: nowhere to write");
    vga.init(cells);
    vga.write("ab\r\nc\td");
    EXPECT_EQ(cells[0], 0x0700 | 'a');
    EXPECT_EQ(cells[80], 0x0700 | 'c');
    EXPECT_EQ(cells[88], 0x0700 | 'd');
    vga.write("\n");
    vga.write(std::string(81, 'x'));
    EXPECT_EQ(cells[3 * 80], 0x0700 | 'x');
    EXPECT_EQ(cells[3 * 80 + 1], 0x0720);
    for (int i = 0; i < 22; i++) vga.write("\n");
    EXPECT_EQ(cells[0], 0x0700 | 'c') << "scrolled by one";
    EXPECT_EQ(cells[24 * 80], 0x0720);
}

}  // namespace
}  // namespace domus
