// SPDX-License-Identifier: GPL-2.0-or-later
// The Multiple APIC Description Table (ACPI 6.4, 5.2.12).
#include "base/log.hpp"
#include "drivers/acpi_bytes.hpp"

namespace domus {

namespace {

constexpr usize kFirstEntry = 44;

enum Type : u8 {
    kLocalApic = 0,
    kIoApic = 1,
    kOverride = 2,
    kNmiSource = 3,
    kLocalNmi = 4,
    kAddressOverride = 5,
    kX2Apic = 9,
    kX2ApicNmi = 10,
};

// The length an entry of this type must have at least; 0: the type is none of ours.
usize least_length(u8 type) {
    switch (type) {
        case kLocalApic: return 8;
        case kIoApic: return 12;
        case kOverride: return 10;
        case kNmiSource: return 8;
        case kLocalNmi: return 6;
        case kAddressOverride: return 12;
        case kX2Apic: return 16;
        case kX2ApicNmi: return 12;
        default: return 0;
    }
}

// MPS INTI flags (5.2.12.5); "as the bus does" is edge and active high on ISA, and level, active low on PCI.
void decode_inti(u16 flags, MadtEntry& e) {
    e.polarity = (flags & 3) == 3 ? Polarity::low : Polarity::high;
    e.trigger = (flags >> 2 & 3) == 3 ? Trigger::level : Trigger::edge;
}

void decode(const u8* p, MadtEntry& e) {
    e = {};
    switch (p[0]) {
        case kLocalApic:
        case kX2Apic: {
            e.kind = MadtEntry::Kind::cpu;
            const bool wide = p[0] == kX2Apic;
            e.apic_id = wide ? get<u32>(p + 4) : p[3];
            e.acpi_id = wide ? get<u32>(p + 12) : p[2];
            const u32 flags = get<u32>(wide ? p + 8 : p + 4);
            e.enabled = (flags & 1) != 0;
            e.online_capable = (flags & 2) != 0;
            break;
        }
        case kIoApic:
            e.kind = MadtEntry::Kind::io_apic;
            e.io_apic_id = p[2];
            e.at = Maddr(get<u32>(p + 4));
            e.gsi = Gsi(get<u32>(p + 8));
            break;
        case kOverride:
            e.kind = p[2] == 0 ? MadtEntry::Kind::isa_override : MadtEntry::Kind::other;
            e.isa_irq = p[3];
            e.gsi = Gsi(get<u32>(p + 4));
            decode_inti(get<u16>(p + 8), e);
            break;
        case kNmiSource:
            e.kind = MadtEntry::Kind::nmi_source;
            e.gsi = Gsi(get<u32>(p + 4));
            decode_inti(get<u16>(p + 2), e);
            break;
        case kLocalNmi:
            e.kind = MadtEntry::Kind::local_nmi;
            e.acpi_id = p[2] == 0xff ? ~u32{0} : p[2];
            e.lint = p[5];
            decode_inti(get<u16>(p + 3), e);
            break;
        case kX2ApicNmi:
            e.kind = MadtEntry::Kind::local_nmi;
            e.acpi_id = get<u32>(p + 4);
            e.lint = p[8];
            decode_inti(get<u16>(p + 2), e);
            break;
        default: break;
    }
}

}  // namespace

bool next_madt_entry(std::span<const u8> madt, usize& offset, MadtEntry& entry) {
    if (offset < kFirstEntry) offset = kFirstEntry;
    if (offset + 2 > madt.size()) return false;
    const u8* p = &madt[offset];
    const usize length = p[1];
    if (length < 2 || length > madt.size() - offset) return false;
    offset += length;
    if (length < least_length(p[0]))
        entry = {};
    else
        decode(p, entry);
    return true;
}

bool finish_madt(AcpiInfo& info) {
    const std::span<const u8> t = info.madt;
    if (t.size() < kFirstEntry) {
        log(Level::warning, "ACPI: no MADT{}", t.empty() ? "" : " (too short)");
        return false;
    }
    info.local_apic = Maddr(get<u32>(&t[36]));
    info.has_8259 = (get<u32>(&t[40]) & 1) != 0;
    usize at = kFirstEntry;
    while (at + 2 <= t.size()) {
        const u8 type = t[at];
        const usize length = t[at + 1];
        if (length < 2 || length > t.size() - at) {
            log(Level::warning,
                "ACPI: MADT entry at offset {} has length {}: the rest of the table is ignored", at, length);
            info.madt = t.first(at);
            break;
        }
        if (length < least_length(type))
            log(Level::warning, "ACPI: MADT entry of type {} at offset {} is too short: ignored", type, at);
        else if (type == kAddressOverride)
            info.local_apic = Maddr(get<u64>(&t[at + 4]));
        at += length;
    }
    return true;
}

}  // namespace domus
