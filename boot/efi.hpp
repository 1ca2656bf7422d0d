// SPDX-License-Identifier: GPL-2.0-or-later
// What UEFI firmware leaves behind when its boot services have ended (UEFI Specification 2.9, 4.3 and 4.6):
// the hypervisor passes it on to dom0, whose kernel finds ACPI and SMBIOS by it. Boot services are never
// used: the boot loader ends them.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "base/types.hpp"

namespace domus {

struct EfiInfo {
    u32 version = 0;  // of the specification, as in the system table: 2.70 is 0x20046
    u64 tables = 0;   // machine address of the configuration table
    u32 table_count = 0;
    u32 firmware_revision = 0;
    std::array<char16_t, 100> vendor{};  // always terminated
};

// How to look at machine memory: `size` readable bytes at `address`, or null.
using EfiView = const void* (*)(Maddr address, u64 size);

// Empty, with a reason in the log, if there is no sound system table at the address.
std::optional<EfiInfo> read_efi(Maddr system_table, EfiView view);

}  // namespace domus
