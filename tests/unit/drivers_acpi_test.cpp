// SPDX-License-Identifier: GPL-2.0-or-later
// ACPI tables: QEMU's own, and broken ones.
#include "drivers/acpi.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "unit/drivers_acpi_samples.hpp"

namespace domus {
namespace {

// Machine memory as a set of pieces; reads outside them fail as they would beyond the end of RAM.
std::map<u64, std::vector<u8>> memory;
std::vector<std::string> lines;

const u8* map_piece(Maddr at, u64 size) {
    auto it = memory.upper_bound(at.v);
    if (it == memory.begin()) return nullptr;
    --it;
    const u64 offset = at.v - it->first;
    if (offset > it->second.size() || size > it->second.size() - offset) return nullptr;
    return it->second.data() + offset;
}

void fix_checksum(std::vector<u8>& t, usize at = 9, usize length = 0) {
    if (length == 0) length = t.size();
    t[at] = 0;
    u8 sum = 0;
    for (usize i = 0; i < length; i++) sum = static_cast<u8>(sum + t[i]);
    t[at] = static_cast<u8>(-sum);
}

struct Acpi : testing::Test {
    Acpi() {
        memory.clear();
        lines.clear();
        set_log_sink([](Level, bool, std::string_view s) { lines.emplace_back(s); });
    }
    ~Acpi() override { set_log_sink(nullptr); }
    void load(std::span<const samples::Blob> blobs) {
        for (const auto& b : blobs) memory[b.at] = {b.bytes.begin(), b.bytes.end()};
    }
    // The BIOS area with the RSDP in its place, for find_rsdp().
    void load_bios(std::span<const samples::Blob> blobs) {
        load(blobs);
        std::vector<u8> bios(0x20000);
        std::copy(blobs[0].bytes.begin(), blobs[0].bytes.end(),
                  bios.begin() + static_cast<long>(blobs[0].at - 0xe0000));
        memory.erase(blobs[0].at);
        memory[0xe0000] = bios;
    }
    std::vector<u8>& table(std::string_view signature) {
        for (auto& [at, bytes] : memory)
            if (std::memcmp(bytes.data(), signature.data(), 4) == 0) return bytes;
        std::abort();
    }
    bool logged(std::string_view part) {
        for (const auto& l : lines)
            if (l.find(part) != std::string::npos) return true;
        return false;
    }
};

TEST_F(Acpi, FindsTheRsdpInBiosAreaAndEbda) {
    EXPECT_FALSE(find_rsdp(map_piece));
    load_bios(samples::pc_tables);
    EXPECT_EQ(find_rsdp(map_piece), Maddr(0xf5980));
    memory[0x40e] = {0xc0, 0x9f};
    std::vector<u8> ebda(1024);
    std::memcpy(&ebda[0x40], samples::pc_rsd, sizeof samples::pc_rsd);
    memory[0x9fc00] = ebda;
    EXPECT_EQ(find_rsdp(map_piece), Maddr(0x9fc40)) << "the EBDA is searched first";
    memory[0x9fc00][0x44]++;
    EXPECT_EQ(find_rsdp(map_piece), Maddr(0xf5980)) << "a signature with a wrong checksum is none";
}

TEST_F(Acpi, QemuPc) {
    load(samples::pc_tables);
    const auto info = parse_acpi(map_piece, Maddr(0xf5980));
    ASSERT_TRUE(info);
    EXPECT_TRUE(lines.empty());
    EXPECT_EQ(info->local_apic, Maddr(0xfee00000));
    EXPECT_TRUE(info->has_8259);
    EXPECT_EQ(info->hpet.at, Maddr(0xfed00000));
    EXPECT_TRUE(info->mcfg.empty());
    const AcpiFadt& f = info->fadt;
    EXPECT_TRUE(f.present);
    EXPECT_EQ(f.sci, 9u);
    EXPECT_EQ(f.pm_timer, (AcpiRegister{AcpiRegister::Space::io, 32, 0x608}));
    EXPECT_EQ(f.pm1a_event, (AcpiRegister{AcpiRegister::Space::io, 32, 0x600}));
    EXPECT_EQ(f.pm1a_control, (AcpiRegister{AcpiRegister::Space::io, 16, 0x604}));
    EXPECT_FALSE(f.pm1b_control.valid());
    EXPECT_FALSE(f.reset.valid());
    EXPECT_EQ(f.facs, Maddr(0x7fe0000));
    EXPECT_TRUE(f.has_8042);
    EXPECT_FALSE(f.hardware_reduced);
}

TEST_F(Acpi, QemuQ35) {
    load(samples::q35_tables);
    const auto info = parse_acpi(map_piece, Maddr(0xf5990));
    ASSERT_TRUE(info);
    EXPECT_EQ(info->fadt.reset, (AcpiRegister{AcpiRegister::Space::io, 8, 0xcf9}));
    EXPECT_EQ(info->fadt.reset_value, 0x0f);
    EXPECT_TRUE(info->fadt.has_8042);
    const auto m = mcfg_entry(info->mcfg, 0);
    ASSERT_TRUE(m);
    EXPECT_EQ(m->base, Maddr(0xb0000000));
    EXPECT_EQ(m->segment, 0);
    EXPECT_EQ(m->first_bus, 0);
    EXPECT_EQ(m->last_bus, 255);
    EXPECT_FALSE(mcfg_entry(info->mcfg, 1));
}

TEST_F(Acpi, MadtEntries) {
    load(samples::pc_tables);
    const auto info = parse_acpi(map_piece, Maddr(0xf5980)).value();
    std::vector<u32> cpus;
    std::map<u8, MadtEntry> overrides;
    int io_apics = 0, nmis = 0;
    for_each_madt_entry(info.madt, [&](const MadtEntry& e) {
        switch (e.kind) {
            case MadtEntry::Kind::cpu:
                EXPECT_TRUE(e.enabled);
                cpus.push_back(e.apic_id);
                break;
            case MadtEntry::Kind::io_apic:
                io_apics++;
                EXPECT_EQ(e.at, Maddr(0xfec00000));
                EXPECT_EQ(e.gsi, Gsi(0));
                break;
            case MadtEntry::Kind::isa_override: overrides[e.isa_irq] = e; break;
            case MadtEntry::Kind::local_nmi:
                nmis++;
                EXPECT_EQ(e.acpi_id, ~0u);
                EXPECT_EQ(e.lint, 1);
                break;
            default: break;
        }
    });
    EXPECT_EQ(cpus, (std::vector<u32>{0, 1}));
    EXPECT_EQ(io_apics, 1);
    EXPECT_EQ(nmis, 1);
    ASSERT_EQ(overrides.size(), 5u);  // 0 and the level-triggered 5, 9, 10, 11
    EXPECT_EQ(overrides[0].gsi, Gsi(2));
    EXPECT_EQ(overrides[0].trigger, Trigger::edge);
    EXPECT_EQ(overrides[9].trigger, Trigger::level);
    EXPECT_EQ(overrides[9].polarity, Polarity::high);
}

TEST_F(Acpi, XsdtIsPreferredAndRsdtTheFallback) {
    load(samples::pc_tables);
    std::vector<u8> rsdp(36);
    std::memcpy(rsdp.data(), samples::pc_rsd, 20);
    rsdp[15] = 2;
    rsdp[20] = 36;
    const u64 xsdt_at = 0x1234000;
    std::memcpy(&rsdp[24], &xsdt_at, 8);
    fix_checksum(rsdp, 8, 20);
    fix_checksum(rsdp, 32, 36);
    memory[0xf5980] = rsdp;
    std::vector<u8> xsdt(36 + 8);
    std::memcpy(xsdt.data(), "XSDT", 4);
    xsdt[4] = 44;
    u64 madt_at = 0;
    for (auto& [at, bytes] : memory)
        if (std::memcmp(bytes.data(), "APIC", 4) == 0) madt_at = at;
    std::memcpy(&xsdt[36], &madt_at, 8);
    fix_checksum(xsdt);
    memory[xsdt_at] = xsdt;
    auto info = parse_acpi(map_piece, Maddr(0xf5980)).value();
    EXPECT_FALSE(info.madt.empty());
    EXPECT_FALSE(info.fadt.present) << "the XSDT names the MADT only";
    memory[xsdt_at][40]++;
    info = parse_acpi(map_piece, Maddr(0xf5980)).value();
    EXPECT_TRUE(info.fadt.present);
    EXPECT_TRUE(logged("XSDT at 0x1234000 has a wrong checksum"));
}

TEST_F(Acpi, BrokenTablesAreNamedAndIgnored) {
    load(samples::pc_tables);
    table("HPET")[50]++;
    auto info = parse_acpi(map_piece, Maddr(0xf5980)).value();
    EXPECT_EQ(info.hpet.at, Maddr(0));
    EXPECT_TRUE(logged("table HPET at"));
    EXPECT_TRUE(logged("wrong checksum"));
    EXPECT_TRUE(info.fadt.present);

    load(samples::pc_tables);
    table("FACP")[4] = 100;
    fix_checksum(table("FACP"), 9, 100);
    EXPECT_FALSE(parse_acpi(map_piece, Maddr(0xf5980)).value().fadt.present);
    EXPECT_TRUE(logged("FACP is too short"));

    load(samples::pc_tables);
    table("FACP")[7] = 0x70;
    parse_acpi(map_piece, Maddr(0xf5980)).value();
    EXPECT_TRUE(logged("table FACP at 0x7fe19df has length"));

    load(samples::pc_tables);
    table("RSDT")[9]++;
    EXPECT_EQ(parse_acpi(map_piece, Maddr(0xf5980)).error(), Error::nodev);
    memory.clear();
    EXPECT_EQ(parse_acpi(map_piece, Maddr(0xf5980)).error(), Error::nodev);
}

TEST_F(Acpi, MadtEntryOfLengthZeroEndsTheTable) {
    load(samples::pc_tables);
    auto& madt = table("APIC");
    madt[44 + 8 + 1] = 0;
    fix_checksum(madt);
    const auto info = parse_acpi(map_piece, Maddr(0xf5980)).value();
    EXPECT_TRUE(logged("MADT entry at offset 52 has length 0"));
    int n = 0;
    for_each_madt_entry(info.madt, [&](const MadtEntry&) { n++; });
    EXPECT_EQ(n, 1);
}

TEST_F(Acpi, LocalApicAddressOverrideAndX2Apic) {
    load(samples::pc_tables);
    auto& madt = table("APIC");
    const u8 extra[] = {5,    12, 0, 0, 0x78, 0x56, 0x34, 0x12, 1, 0, 0, 0,  // address 0x112345678
                        9,    16, 0, 0, 0,    1,    0,    0,    2, 0, 0, 0,
                        0x2c, 1,  0, 0};  // x2APIC 256, ACPI 300
    madt.insert(madt.end(), std::begin(extra), std::end(extra));
    madt[4] = static_cast<u8>(madt.size());
    fix_checksum(madt);
    const auto info = parse_acpi(map_piece, Maddr(0xf5980)).value();
    EXPECT_EQ(info.local_apic, Maddr(0x112345678));
    MadtEntry last;
    for_each_madt_entry(info.madt, [&](const MadtEntry& e) { last = e; });
    EXPECT_EQ(last.kind, MadtEntry::Kind::cpu);
    EXPECT_EQ(last.apic_id, 256u);
    EXPECT_EQ(last.acpi_id, 300u);
    EXPECT_FALSE(last.enabled);
    EXPECT_TRUE(last.online_capable);
}

TEST_F(Acpi, NoDamageReadsOutsideTheTables) {
    // Random damage with repaired checksums; the sanitizers watch.
    std::mt19937 random(1);
    for (int round = 0; round < 3000; round++) {
        memory.clear();
        load(samples::q35_tables);
        for (auto& [at, bytes] : memory) {
            if (at == 0xf5990) continue;
            for (unsigned hits = random() % 4; hits > 0; hits--)
                bytes[random() % bytes.size()] = static_cast<u8>(random());
            u32 length;
            std::memcpy(&length, &bytes[4], 4);
            if (length >= 36 && length <= bytes.size()) fix_checksum(bytes, 9, length);
        }
        if (const auto info = parse_acpi(map_piece, Maddr(0xf5990))) {
            for_each_madt_entry(info->madt, [](const MadtEntry&) {});
            for (usize i = 0; mcfg_entry(info->mcfg, i); i++) {}
        }
    }
}

}  // namespace
}  // namespace domus
