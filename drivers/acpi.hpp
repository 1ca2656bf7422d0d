// SPDX-License-Identifier: GPL-2.0-or-later
// Static ACPI tables: what the hypervisor must know of the machine without an AML interpreter (which dom0
// has). Source: ACPI Specification 6.4; section numbers in the code are its.
//
// Firmware's tables are not trusted: every length, checksum and entry is checked, and a table that fails is
// named in the log and treated as absent.
#pragma once

#include <optional>
#include <span>

#include "base/result.hpp"
#include "base/types.hpp"
#include "port/interrupt.hpp"

namespace domus {

// Gives access to `size` bytes of machine memory; nullptr if there are none. The mapping lives for ever.
using AcpiMap = const u8* (*)(Maddr at, u64 size);

// Generic Address Structure (5.2.3.2).
struct AcpiRegister {
    enum class Space : u8 { memory = 0, io = 1, pci = 2 };
    Space space = Space::memory;
    u8 bits = 0;  // register width
    u64 address = 0;
    bool valid() const { return address != 0; }
    bool operator==(const AcpiRegister&) const = default;
};

// Fixed ACPI Description Table (5.2.9).
struct AcpiFadt {
    bool present = false;
    bool hardware_reduced = false;
    u32 sci = 9;  // GSI
    AcpiRegister pm1a_event, pm1b_event, pm1a_control, pm1b_control;
    AcpiRegister pm_timer;
    bool pm_timer_32bit = false;
    AcpiRegister reset;  // invalid unless the flag says it is supported
    u8 reset_value = 0;
    u8 century = 0;        // CMOS index of the century, 0: none
    bool has_8042 = true;  // keyboard controller (boot architecture flags; old tables do not say: assume)
    bool has_cmos = true;  // CMOS real-time clock
    bool has_vga = true;
    bool has_msi = true;
    Maddr facs;  // Firmware ACPI Control Structure; 0: none
};

struct AcpiHpet {
    Maddr at;  // 0: none
    u16 min_tick = 0;
};

// A range of buses whose configuration space is memory-mapped (PCI Firmware Specification 3.3, 4.1.2).
struct AcpiMcfgEntry {
    Maddr base;  // of bus 0, even if first_bus is not 0
    u16 segment = 0;
    u8 first_bus = 0, last_bus = 0;
};

// An entry of the Multiple APIC Description Table (5.2.12).
struct MadtEntry {
    enum class Kind : u8 { cpu, io_apic, isa_override, nmi_source, local_nmi, other };
    Kind kind = Kind::other;
    // cpu
    u32 apic_id = 0;
    u32 acpi_id = 0;              // also local_nmi; ~0 is every CPU
    bool enabled = false;         // there now
    bool online_capable = false;  // may come later
    // io_apic
    u8 io_apic_id = 0;
    Maddr at;
    // io_apic: its first GSI; isa_override, nmi_source: the GSI
    Gsi gsi;
    // isa_override, nmi_source, local_nmi
    u8 isa_irq = 0;
    u8 lint = 0;
    Trigger trigger = Trigger::edge;
    Polarity polarity = Polarity::high;
};

struct AcpiInfo {
    Maddr rsdp;
    Maddr local_apic;       // 0 if there is no MADT
    bool has_8259 = false;  // MADT: PC-AT compatible, two 8259s to be disabled
    AcpiFadt fadt;
    AcpiHpet hpet;
    std::span<const u8> madt, mcfg, srat, slit;  // whole tables, checked; empty: absent
};

// The RSDP between 0xe0000 and 0xfffff or in the first KiB of the extended BIOS data area (5.2.5.1).
std::optional<Maddr> find_rsdp(AcpiMap map);

// Reads the tables. `rsdp` comes from find_rsdp() or the boot loader. NODEV: there are no (valid) tables at
// all.
Result<AcpiInfo> parse_acpi(AcpiMap map, Maddr rsdp);

// Calls f(const MadtEntry&) for every entry of a checked MADT.
bool next_madt_entry(std::span<const u8> madt, usize& offset, MadtEntry& entry);
template <class F>
void for_each_madt_entry(std::span<const u8> madt, F f) {
    MadtEntry e;
    for (usize at = 0; next_madt_entry(madt, at, e);) f(static_cast<const MadtEntry&>(e));
}

// The n-th range of an MCFG table.
std::optional<AcpiMcfgEntry> mcfg_entry(std::span<const u8> mcfg, usize n);

}  // namespace domus
