// SPDX-License-Identifier: GPL-2.0-or-later
// Tables of UEFI firmware (UEFI Specification 2.9, 4.2 to 4.6), for 64-bit firmware. Pointers are machine
// addresses.
#pragma once

#include <cstdint>

namespace domus::abi {

struct EfiTableHeader {
    std::uint64_t signature;
    std::uint32_t revision;  // major << 16 | minor * 10 (and a last digit)
    std::uint32_t size;      // bytes of the whole table
    std::uint32_t crc32, reserved;
};
static_assert(sizeof(EfiTableHeader) == 24);

inline constexpr std::uint64_t kEfiSystemTable = 0x5453595320494249;  // "IBI SYST"

struct EfiSystemTable {
    EfiTableHeader header;
    std::uint64_t firmware_vendor;  // UCS-2, terminated
    std::uint32_t firmware_revision, pad;
    std::uint64_t consoles[6];  // handles and protocols of input, output and errors
    std::uint64_t runtime_services, boot_services;
    std::uint64_t table_count, tables;
};
static_assert(sizeof(EfiSystemTable) == 120);

inline constexpr std::uint64_t kEfiConfigurationEntry = 24;  // bytes: GUID and pointer

}  // namespace domus::abi
