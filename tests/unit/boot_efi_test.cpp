// SPDX-License-Identifier: GPL-2.0-or-later
// Reading UEFI's system table, sound and broken.
#include "boot/efi.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "abi/efi.hpp"

namespace domus {
namespace {

// Firmware at 0x10000: the system table, then what it points at.
constexpr u64 kBase = 0x10000, kVendor = kBase + 0x200, kTables = kBase + 0x600;
std::vector<u8> memory;

const void* view(Maddr at, u64 size) {
    if (at.v < kBase || size > memory.size() || at.v - kBase > memory.size() - size) return nullptr;
    return memory.data() + (at.v - kBase);
}

class Efi : public testing::Test {
  protected:
    void SetUp() override {
        memory.assign(0x1000, 0);
        table.header = {
            .signature = abi::kEfiSystemTable, .revision = 0x20046, .size = 120, .crc32 = 0, .reserved = 0};
        table.firmware_vendor = kVendor;
        table.firmware_revision = 0x10000;
        table.table_count = 7;
        table.tables = kTables;
        std::memcpy(&memory[kVendor - kBase], u"EDK II", 14);
    }
    std::optional<EfiInfo> read() {
        std::memcpy(memory.data(), &table, sizeof table);
        return read_efi(Maddr(kBase), view);
    }
    abi::EfiSystemTable table{};
};

TEST_F(Efi, Sound) {
    const auto efi = read();
    ASSERT_TRUE(efi);
    EXPECT_EQ(efi->version, 0x20046u);
    EXPECT_EQ(efi->tables, kTables);
    EXPECT_EQ(efi->table_count, 7u);
    EXPECT_EQ(efi->firmware_revision, 0x10000u);
    EXPECT_EQ(std::u16string(efi->vendor.data()), u"EDK II");
}

TEST_F(Efi, WithoutVendor) {
    table.firmware_vendor = 0;
    const auto efi = read();
    ASSERT_TRUE(efi);
    EXPECT_EQ(efi->vendor[0], 0);
}

TEST_F(Efi, EndlessVendorIsTerminated) {
    for (u64 i = kVendor - kBase; i < 0x1000; i++) memory[i] = 'x';
    const auto efi = read();
    ASSERT_TRUE(efi);
    EXPECT_EQ(efi->vendor.back(), 0);
    EXPECT_EQ(efi->vendor[98], 0x7878);
}

TEST_F(Efi, Broken) {
    table.header.signature++;
    EXPECT_FALSE(read());
    table.header.signature--;
    table.header.size = 119;
    EXPECT_FALSE(read());
    table.header.size = 120;
    table.table_count = 0;
    EXPECT_FALSE(read());
    table.table_count = ~u64{0} / 24;
    EXPECT_FALSE(read());
    table.table_count = 1000;  // beyond memory
    EXPECT_FALSE(read());
    table.table_count = 7;
    table.tables = ~u64{0} - 8;
    EXPECT_FALSE(read());
    table.tables = kTables;
    EXPECT_TRUE(read());
    EXPECT_FALSE(read_efi(Maddr(0), view));
    EXPECT_FALSE(read_efi(Maddr(~u64{0} - 3), view));
}

TEST_F(Efi, SurvivesGarbage) {
    std::mt19937_64 random(7);
    for (int round = 0; round < 2000; round++) {
        auto* bytes = reinterpret_cast<u8*>(&table);
        for (int i = 0; i < 3; i++) bytes[8 + random() % (sizeof table - 8)] = static_cast<u8>(random());
        (void)read();
    }
}

}  // namespace
}  // namespace domus
