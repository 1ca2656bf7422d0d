// SPDX-License-Identifier: GPL-2.0-or-later
// Message-signalled interrupts in a device: PCI Local Bus Specification 3.0, 6.8 (MSI in 6.8.1, MSI-X
// in 6.8.2).
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"
#include "drivers/pci.hpp"

namespace domus {

struct MsiMessage {
    u64 address = 0;
    u32 data = 0;
    constexpr bool operator==(const MsiMessage&) const = default;
};

// To one CPU by its APIC ID, edge-triggered, fixed delivery (Intel SDM vol. 3, 11.11).
constexpr MsiMessage msi_message(u8 apic_id, u8 vector) { return {0xfee00000u | u64{apic_id} << 12, vector}; }

// Where an interrupt of a device is configured.
struct MsiPlace {
    PciAddress device;
    u8 capability = 0;  // its register
    bool msix = false;
    bool wide = false;                     // MSI: 64-bit address
    bool maskable = false;                 // MSI: has mask bits. (MSI-X always has.)
    u8 max_messages = 1;                   // MSI
    u16 entry = 0;                         // MSI-X
    u64 table_entry_address = 0;           // MSI-X: where the entry is in machine memory
    volatile void* table_entry = nullptr;  // and its mapping, which the caller sets
};

// ENODEV: there is no such device or it has no such capability.
Result<MsiPlace> msi_find(PciConfig& pci, PciAddress device);
// `bar`: where the BAR that holds the table starts in machine memory. EINVAL: the table has no such entry.
Result<MsiPlace> msix_find(PciConfig& pci, PciAddress device, u16 entry, u64 bar);

// Writes address and data. What can be masked is masked meanwhile. MSI-X: the entry is then as `masked` says.
void msi_write(PciConfig& pci, const MsiPlace& place, const MsiMessage& message, bool masked);

// Switches the capability on, legacy interrupts of the device off. MSI: for `messages` (a power of two)
// messages, all masked if they can be.
void msi_enable(PciConfig& pci, const MsiPlace& place, u32 messages);
void msi_disable(PciConfig& pci, const MsiPlace& place);

// Masks or unmasks one message; an MSI without mask bits is left as it is.
void msi_set_mask(PciConfig& pci, const MsiPlace& place, u32 message, bool masked);

}  // namespace domus
