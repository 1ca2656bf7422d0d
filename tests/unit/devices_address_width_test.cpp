// SPDX-License-Identifier: GPL-2.0-or-later
// The width of physical addresses, with CPUID as machines answer it.
#include <gtest/gtest.h>

#include "arch_devices/address_width.hpp"
#include "fakes/cpuid.hpp"

namespace domus::x86 {
namespace {

class AddressWidth : public testing::Test {
  protected:
    AddressWidth() { fakes::cpuid_leaves.clear(); }
    ~AddressWidth() override { fakes::cpuid_leaves.clear(); }
    static unsigned with(u32 last, u32 eax) {
        fakes::cpuid_leaves[{0x80000000, 0}] = {.eax = last};
        fakes::cpuid_leaves[{0x80000008, 0}] = {.eax = eax};
        return physical_address_bits();
    }
};

TEST_F(AddressWidth, AsTheProcessorSays) {
    EXPECT_EQ(with(0x80000008, 0x3028), 40u);
    EXPECT_EQ(with(0x8000001f, 0x3934), 52u);
    EXPECT_EQ(with(0x80000008, 0x3020), 32u);
}

TEST_F(AddressWidth, OldProcessorsDoNotSay) {
    EXPECT_EQ(physical_address_bits(), 36u);
    EXPECT_EQ(with(0x80000007, 0x3028), 36u);
}

TEST_F(AddressWidth, NeverMoreThanAnEntryHolds) {
    EXPECT_EQ(with(0x80000008, 0x39), 52u);
    EXPECT_EQ(with(0x80000008, 0), 32u);
}

}  // namespace
}  // namespace domus::x86
