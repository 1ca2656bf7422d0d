// SPDX-License-Identifier: GPL-2.0-or-later
// The static ACPI tables: root, FADT, HPET, MCFG; the MADT's entries are in acpi_madt.cpp.
#include "drivers/acpi.hpp"

#include <cstring>

#include "base/log.hpp"
#include "drivers/acpi_bytes.hpp"

namespace domus {

namespace {

constexpr usize kHeader = 36;         // bytes of the System Description Table header (5.2.6)
constexpr u32 kMaxTable = 16u << 20;  // larger than any sane table
constexpr usize kRsdpV1 = 20, kRsdpV2 = 36;

bool sums_to_zero(std::span<const u8> bytes) {
    u8 sum = 0;
    for (u8 b : bytes) sum = static_cast<u8>(sum + b);
    return sum == 0;
}

std::string_view signature_of(std::span<const u8> table) {
    return {reinterpret_cast<const char*>(table.data()), 4};
}

// Signatures come from firmware and go to the log.
struct Printable {
    char text[5];
    explicit Printable(std::span<const u8> table) {
        for (usize i = 0; i < 4; i++)
            text[i] = table[i] >= ' ' && table[i] <= '~' ? static_cast<char>(table[i]) : '?';
        text[4] = '\0';
    }
};

// The table at an address, whole and checked; empty if it is not sound.
std::span<const u8> load_table(AcpiMap map, Maddr at) {
    const u8* header = at.v == 0 ? nullptr : map(at, kHeader);
    if (header == nullptr) {
        log(Level::warning, "ACPI: no table at {:#x}", at);
        return {};
    }
    const Printable name(std::span(header, 4));
    const u32 length = get<u32>(header + 4);
    if (length < kHeader || length > kMaxTable) {
        log(Level::warning, "ACPI: table {} at {:#x} has length {}: ignored", name.text, at, length);
        return {};
    }
    const u8* table = map(at, length);
    if (table == nullptr) {
        log(Level::warning, "ACPI: table {} at {:#x}, {} bytes, cannot be reached: ignored", name.text, at,
            length);
        return {};
    }
    if (!sums_to_zero({table, length})) {
        log(Level::warning, "ACPI: table {} at {:#x} has a wrong checksum: ignored", name.text, at);
        return {};
    }
    return {table, length};
}

AcpiRegister get_register(std::span<const u8> t, usize offset) {
    AcpiRegister r;
    if (offset + 12 > t.size()) return r;
    const u8 space = t[offset];
    if (space > static_cast<u8>(AcpiRegister::Space::pci)) return r;
    r.space = static_cast<AcpiRegister::Space>(space);
    r.bits = t[offset + 1];
    r.address = get<u64>(&t[offset + 4]);
    return r;
}

// A fixed register block: the extended field if the table has it and it is set, else the 32-bit port number.
AcpiRegister get_block(std::span<const u8> t, usize legacy, usize legacy_length, usize extended) {
    if (const AcpiRegister x = get_register(t, extended); x.valid()) return x;
    AcpiRegister r;
    if (const u32 port = get<u32>(&t[legacy]); port != 0) {
        r.space = AcpiRegister::Space::io;
        r.bits = static_cast<u8>(t[legacy_length] * 8);
        r.address = port;
    }
    return r;
}

AcpiFadt parse_fadt(std::span<const u8> t) {
    constexpr usize kRevision1Length = 116;
    AcpiFadt f;
    if (t.size() < kRevision1Length) {
        log(Level::warning, "ACPI: FACP is too short ({} bytes): ignored", t.size());
        return f;
    }
    f.present = true;
    f.sci = get<u16>(&t[46]);
    f.pm1a_event = get_block(t, 56, 88, 148);
    f.pm1b_event = get_block(t, 60, 88, 160);
    f.pm1a_control = get_block(t, 64, 89, 172);
    f.pm1b_control = get_block(t, 68, 89, 184);
    f.pm_timer = get_block(t, 76, 91, 208);
    f.century = t[108];
    const u32 flags = get<u32>(&t[112]);
    f.pm_timer_32bit = (flags & 1u << 8) != 0;
    f.hardware_reduced = (flags & 1u << 20) != 0;
    if (t.size() >= 129 && (flags & 1u << 10) != 0) {
        f.reset = get_register(t, 116);
        f.reset_value = t[128];
    }
    // Before revision 3 (of the table) the boot architecture flags were reserved (5.2.9.3).
    if (t[8] >= 3) {
        const u16 boot = get<u16>(&t[109]);
        f.has_8042 = (boot & 1u << 1) != 0;
        f.has_vga = (boot & 1u << 2) == 0;
        f.has_msi = (boot & 1u << 3) == 0;
        f.has_cmos = (boot & 1u << 5) == 0;
    }
    f.facs = Maddr(get<u32>(&t[36]));
    if (t.size() >= 140) {
        if (const u64 x = get<u64>(&t[132]); x != 0) f.facs = Maddr(x);
    }
    return f;
}

AcpiHpet parse_hpet(std::span<const u8> t) {
    AcpiHpet h;
    if (t.size() < 56) {
        log(Level::warning, "ACPI: HPET table is too short ({} bytes): ignored", t.size());
        return h;
    }
    const AcpiRegister r = get_register(t, 40);
    if (r.space != AcpiRegister::Space::memory || !r.valid()) return h;
    h.at = Maddr(r.address);
    h.min_tick = get<u16>(&t[53]);
    return h;
}

void take_table(AcpiInfo& info, std::span<const u8> t) {
    const std::string_view signature = signature_of(t);
    const auto once = [&](std::span<const u8>& slot) {
        if (slot.empty())
            slot = t;
        else
            log(Level::info, "ACPI: a second {} table: ignored", Printable(t).text);
    };
    if (signature == "FACP") {
        if (!info.fadt.present) info.fadt = parse_fadt(t);
    } else if (signature == "HPET") {
        if (info.hpet.at.v == 0) info.hpet = parse_hpet(t);
    } else if (signature == "APIC") {
        once(info.madt);
    } else if (signature == "MCFG") {
        once(info.mcfg);
    } else if (signature == "SRAT") {
        once(info.srat);
    } else if (signature == "SLIT") {
        once(info.slit);
    }
}

bool rsdp_at(const u8* p) { return std::memcmp(p, "RSD PTR ", 8) == 0 && sums_to_zero({p, kRsdpV1}); }

std::optional<Maddr> scan(AcpiMap map, u64 from, u64 size) {
    const u8* area = map(Maddr(from), size);
    if (area == nullptr) return std::nullopt;
    for (u64 at = 0; at + kRsdpV1 <= size; at += 16)
        if (rsdp_at(area + at)) return Maddr(from + at);
    return std::nullopt;
}

}  // namespace

std::optional<Maddr> find_rsdp(AcpiMap map) {
    constexpr u64 kEbdaPointer = 0x40e;  // BIOS data area: real-mode segment of the EBDA
    if (const u8* p = map(Maddr(kEbdaPointer), 2)) {
        const u64 ebda = u64{get<u16>(p)} << 4;
        if (ebda >= 0x80000 && ebda < 0xa0000)
            if (auto found = scan(map, ebda, 1024)) return found;
    }
    return scan(map, 0xe0000, 0x20000);
}

Result<AcpiInfo> parse_acpi(AcpiMap map, Maddr rsdp) {
    AcpiInfo info;
    info.rsdp = rsdp;
    const u8* p = map(rsdp, kRsdpV1);
    if (p == nullptr || !rsdp_at(p)) {
        log(Level::error, "ACPI: no RSDP at {:#x}", rsdp);
        return fail(Error::nodev);
    }
    std::span<const u8> root;
    usize entry_size = 4;
    if (p[15] >= 2) {
        const u8* p2 = map(rsdp, kRsdpV2);
        if (p2 != nullptr && sums_to_zero({p2, kRsdpV2}) && get<u64>(p2 + 24) != 0) {
            root = load_table(map, Maddr(get<u64>(p2 + 24)));
            entry_size = 8;
            if (!root.empty() && signature_of(root) != "XSDT") root = {};
        }
        if (root.empty()) log(Level::warning, "ACPI: no sound XSDT; trying the RSDT");
    }
    if (root.empty()) {
        root = load_table(map, Maddr(get<u32>(p + 16)));
        entry_size = 4;
        if (!root.empty() && signature_of(root) != "RSDT") root = {};
    }
    if (root.empty()) {
        log(Level::error, "ACPI: neither XSDT nor RSDT is sound");
        return fail(Error::nodev);
    }
    for (usize at = kHeader; at + entry_size <= root.size(); at += entry_size) {
        const u64 address = entry_size == 8 ? get<u64>(&root[at]) : get<u32>(&root[at]);
        if (address == 0) continue;
        if (const auto table = load_table(map, Maddr(address)); !table.empty()) take_table(info, table);
    }
    if (!finish_madt(info)) {
        info.madt = {};
        info.local_apic = Maddr(0);
    }
    return info;
}

std::optional<AcpiMcfgEntry> mcfg_entry(std::span<const u8> mcfg, usize n) {
    constexpr usize kFirst = 44, kSize = 16;
    if (mcfg.size() < kFirst || n >= (mcfg.size() - kFirst) / kSize) return std::nullopt;
    const u8* p = &mcfg[kFirst + n * kSize];
    const AcpiMcfgEntry e{Maddr(get<u64>(p)), get<u16>(p + 8), p[10], p[11]};
    if (e.first_bus > e.last_bus) return AcpiMcfgEntry{Maddr(0), e.segment, 1, 0};  // a range of no bus
    return e;
}

}  // namespace domus
