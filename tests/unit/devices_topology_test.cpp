// SPDX-License-Identifier: GPL-2.0-or-later
// Places of CPUs from their APIC IDs, with CPUID as machines answer it.
#include <gtest/gtest.h>

#include "arch_devices/topology.hpp"
#include "fakes/cpuid.hpp"

namespace domus::x86 {
namespace {

class Topology : public testing::Test {
  protected:
    Topology() { fakes::cpuid_leaves.clear(); }
    ~Topology() override { fakes::cpuid_leaves.clear(); }
    static void vendor(u32 last, u32 ebx) { fakes::cpuid_leaves[{0, 0}] = {.eax = last, .ebx = ebx}; }
    static void leaf(u32 number, u32 sub, CpuidLeaf value) { fakes::cpuid_leaves[{number, sub}] = value; }
    static constexpr u32 kIntel = 0x756e6547, kAmd = 0x68747541;
    static constexpr u32 kHtt = 1u << 28;
};

TEST_F(Topology, OneCpuOfUnknownMake) {
    const ApicIdFields f = read_apic_id_fields();
    EXPECT_EQ(decode_apic_id(0, f), CpuTopology{});
    EXPECT_EQ(decode_apic_id(3, f), (CpuTopology{.socket = 3}));
}

TEST_F(Topology, IntelLevels) {
    vendor(0x16, kIntel);
    leaf(0xb, 0, {.eax = 1, .ebx = 2, .ecx = 1u << 8 | 0});
    leaf(0xb, 1, {.eax = 4, .ebx = 16, .ecx = 2u << 8 | 1});
    const ApicIdFields f = read_apic_id_fields();
    EXPECT_EQ(f, (ApicIdFields{.core_at = 1, .socket_at = 4}));
    EXPECT_EQ(decode_apic_id(0x25, f), (CpuTopology{.thread = 1, .core = 2, .socket = 2}));
}

TEST_F(Topology, IntelWithoutLevels) {
    vendor(0xa, kIntel);
    leaf(1, 0, {.ebx = 8u << 16, .edx = kHtt});
    leaf(4, 0, {.eax = 3u << 26});  // four cores of the eight
    const ApicIdFields f = read_apic_id_fields();
    EXPECT_EQ(f, (ApicIdFields{.core_at = 1, .socket_at = 3}));
    EXPECT_EQ(decode_apic_id(0xd, f), (CpuTopology{.thread = 1, .core = 2, .socket = 1}));
}

TEST_F(Topology, AmdCores) {
    vendor(0xd, kAmd);
    leaf(1, 0, {.ebx = 2u << 16, .edx = kHtt});
    leaf(0x80000000, 0, {.eax = 0x8000000a});
    leaf(0x80000008, 0, {.ecx = 1});  // two cores, no width given
    EXPECT_EQ(decode_apic_id(1, read_apic_id_fields()), (CpuTopology{.core = 1}));
    EXPECT_EQ(decode_apic_id(2, read_apic_id_fields()), (CpuTopology{.core = 0, .socket = 1}));
    leaf(0x80000008, 0, {.ecx = 3u << 12 | 5});  // six cores in eight numbers
    EXPECT_EQ(decode_apic_id(0xd, read_apic_id_fields()), (CpuTopology{.core = 5, .socket = 1}));
}

TEST_F(Topology, AmdThreads) {
    vendor(0x10, kAmd);
    leaf(0x80000000, 0, {.eax = 0x8000001f});
    leaf(0x80000001, 0, {.ecx = 1u << 22});
    leaf(0x80000008, 0, {.ecx = 3u << 12 | 7});
    leaf(0x8000001e, 0, {.ebx = 1u << 8});
    EXPECT_EQ(decode_apic_id(0xb, read_apic_id_fields()), (CpuTopology{.thread = 1, .core = 1, .socket = 1}));
}

// Whatever CPUID says, the shifts stay defined.
TEST_F(Topology, NonsenseIsBounded) {
    vendor(~0u, kIntel);
    for (u32 n = 0; n < 8; n++) leaf(0xb, n, {.eax = ~0u, .ebx = ~0u, .ecx = 2u << 8});
    EXPECT_LE(read_apic_id_fields().socket_at, 31u);
    decode_apic_id(~0u, read_apic_id_fields());
    fakes::cpuid_leaves.clear();
    vendor(4, kIntel);
    leaf(1, 0, {.ebx = 1u << 16, .edx = kHtt});
    leaf(4, 0, {.eax = 63u << 26});
    EXPECT_LE(read_apic_id_fields().core_at, read_apic_id_fields().socket_at);
}

}  // namespace
}  // namespace domus::x86
