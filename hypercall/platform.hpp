// SPDX-License-Identifier: GPL-2.0-or-later
// What hypercalls need of devices and firmware: a table that boot, which alone sees the drivers, fills in.
// What stays null is answered with ENOSYS and named in the log.
#pragma once

#include <span>
#include <string_view>

#include "abi/xen.hpp"
#include "base/result.hpp"
#include "base/types.hpp"
#include "port/interrupt.hpp"

namespace domus::hypercall {

// A BIOS disk, as int 13h described it (XEN_FW_DISK_INFO, XEN_FW_DISK_MBR_SIGNATURE).
struct BiosDisk {
    u8 device = 0;
    u8 version = 0;
    u16 interface_support = 0;
    u16 legacy_max_cylinder = 0;
    u8 legacy_max_head = 0;
    u8 legacy_sectors_per_track = 0;
    std::span<const u8> edd_params{};  // its first u16 is its size
};
struct BiosMbr {
    u8 device = 0;
    u32 signature = 0;
};

struct CpuVersion {
    char vendor[12];
    u32 family, model, stepping;
};

struct Platform {
    // The console, for the hardware domain: its output as it is, and what was typed for it.
    void (*console_write)(std::string_view text) = nullptr;
    usize (*console_read)(std::span<char> out) = nullptr;
    // A line from another domain.
    void (*console_guest)(DomId domain, std::string_view text) = nullptr;

    // The log's ring, as drivers/console has it; all three or none.
    usize (*log_read)(u32& from, std::span<char> out) = nullptr;
    u32 (*log_start)() = nullptr;
    void (*log_clear)() = nullptr;

    // A debug key has been sent (drivers/debug_keys). False: it means nothing.
    bool (*debug_key)(char key) = nullptr;

    // A register of the I/O APIC at this machine address, by its index in the register window. EINVAL: there
    // is none. Writes go through the owner of the interrupts, who may refuse them (EPERM).
    Result<u32> (*ioapic_read)(u64 base, u32 reg) = nullptr;
    Result<> (*ioapic_write)(u64 base, u32 reg, u32 value) = nullptr;

    // Is there a PCI device at this address?
    bool (*pci_known)(PciAddress device) = nullptr;
    // What the hardware domain says of PCI: a device has come or gone (for a virtual function, with the
    // function it is of), and the memory-mapped configuration space of some buses is reserved for it. Null:
    // nobody needs to know.
    Result<> (*pci_added)(PciAddress device, bool virtual_function, PciAddress physical) = nullptr;
    Result<> (*pci_removed)(PciAddress device) = nullptr;
    Result<> (*mmcfg_reserved)(u16 segment, u8 first_bus, u8 last_bus, u64 address, bool reserved) = nullptr;

    // ACPI sleep state 1 to 5, with the sleep type values of the firmware's \_Sx object that dom0 evaluated;
    // extended: values for the sleep control register of hardware-reduced ACPI. S5 does not return.
    // EOPNOTSUPP: this state is not to be had.
    Result<> (*enter_sleep)(u32 state, u16 a, u16 b, bool extended) = nullptr;

    CpuVersion (*cpu_version)(CpuId) = nullptr;
    // The hypervisor's symbols in address order; false beyond the last. `name` lives for ever.
    bool (*symbol)(u32 index, u64& address, char& type, std::string_view& name) = nullptr;

    // Firmware, as boot found it.
    std::span<const BiosDisk> disks{};
    std::span<const BiosMbr> mbrs{};
    u8 kbd_shift_flags = 0;

    // UEFI, as its tables say (XEN_FW_EFI_INFO); `tables` 0: the machine was not started by it.
    struct Efi {
        u32 version = 0;
        u64 tables = 0;  // machine address of the configuration table
        u32 table_count = 0;
        u32 firmware_revision = 0;
        const char16_t* vendor = u"";  // terminated
        struct Range {
            u64 start, bytes, attributes;
            u32 type;
        };
        // The memory range that holds an address; false: none does.
        bool (*find_range)(u64 address, Range& range) = nullptr;
    };
    Efi efi{};

    // The machine's memory map, as the loader gave it (XENMEM_machine_memory_map).
    struct MemoryRange {
        u64 start, size;  // bytes
        u32 type;         // E820 type
    };
    std::span<const MemoryRange> machine_map{};
    u64 total_pages = 0;  // RAM that the loader reported
};

Platform& platform();

}  // namespace domus::hypercall
