// SPDX-License-Identifier: GPL-2.0-or-later
// What is told of a domain: each thing once, and not too many things.
#include "core/told_set.hpp"

#include <gtest/gtest.h>

namespace domus::core {
namespace {

TEST(ToldSet, EachThingOnce) {
    ToldSet set;
    for (u64 key = 0; key < ToldSet::kKept; key++) EXPECT_TRUE(set.tell(key << 20, 0)) << key;
    for (u64 key = 0; key < ToldSet::kKept; key++) EXPECT_FALSE(set.tell(key << 20, kSecond)) << key;
}

TEST(ToldSet, EverNewThingsAreToldNowAndThen) {
    ToldSet set;
    constexpr u64 kOne = u64{1000} << 20, kOther = u64{2000} << 20;
    u32 told = 0;
    for (u64 key = 0; key < 10000; key++) told += set.tell(key << 20, 0);
    EXPECT_EQ(told, ToldSet::kKept);
    EXPECT_FALSE(set.tell(kOne, ToldSet::kInterval - 1));
    EXPECT_TRUE(set.tell(kOne, ToldSet::kInterval));
    EXPECT_FALSE(set.tell(kOther, ToldSet::kInterval)) << "one for each interval";
    EXPECT_FALSE(set.tell(kOne, 5 * ToldSet::kInterval)) << "told already";
    EXPECT_TRUE(set.tell(kOther, 5 * ToldSet::kInterval));
}

}  // namespace
}  // namespace domus::core
