// SPDX-License-Identifier: GPL-2.0-or-later
// The formatter: widths, signs, bases, what does not fit.
#include "base/format.hpp"

#include <gtest/gtest.h>

namespace domus {
namespace {

template <class... Args>
std::string f(FormatString<Args...> fmt, const Args&... args) {
    char out[64];
    const usize n = format_to(out, fmt, args...);
    return std::string(out, n);
}

TEST(Format, Integers) {
    EXPECT_EQ(f("{} {} {}", 0, -5, 18446744073709551615ull), "0 -5 18446744073709551615");
    EXPECT_EQ(f("{}", INT64_MIN), "-9223372036854775808");
    EXPECT_EQ(f("{:x} {:#x} {:08x} {:4}|{:<4}|", 255, 255, 0xbeefu, 7, 7), "ff 0xff 0000beef    7|7   |");
}

TEST(Format, StrongIntegersAndErrors) {
    EXPECT_EQ(f("{} {}", Mfn(0x1f), DomId(10)), "1f 10");
    EXPECT_EQ(f("{}", Error::nomem), "ENOMEM");
}

TEST(Format, TextBoolBraces) {
    EXPECT_EQ(f("{{{}}} {} {:6}|{:<6}|", "a", true, "xy", "xy"), "{a} yes     xy|xy    |");
}

TEST(Format, CutsWhatDoesNotFit) {
    char out[5];
    EXPECT_EQ(format_to(out, "{}", "abcdefgh"), 4u);
    EXPECT_STREQ(out, "abcd");
}

}  // namespace
}  // namespace domus
