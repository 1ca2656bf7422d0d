// SPDX-License-Identifier: GPL-2.0-or-later
// The ELF-64 object file format, as far as loading a kernel needs it (System V ABI, "Object Files" and
// "Program Loading"; ELF-64 Object File Format version 1.5).
#pragma once

#include <cstdint>

namespace domus::abi {

struct Elf64Header {
    std::uint8_t ident[16];
    std::uint16_t type, machine;
    std::uint32_t version;
    std::uint64_t entry, program_headers, section_headers;
    std::uint32_t flags;
    std::uint16_t header_size;
    std::uint16_t program_header_size, program_header_count;
    std::uint16_t section_header_size, section_header_count, section_names;
};
static_assert(sizeof(Elf64Header) == 64);

inline constexpr std::uint8_t kElfClass32 = 1, kElfClass64 = 2;  // ident[4]
inline constexpr std::uint8_t kElfLittleEndian = 1;              // ident[5]
inline constexpr std::uint16_t kElfExecutable = 2, kElfShared = 3;
inline constexpr std::uint16_t kElfMachine386 = 3, kElfMachineX86_64 = 62;

struct Elf64ProgramHeader {
    std::uint32_t type, flags;
    std::uint64_t offset, virtual_address, physical_address, file_size, memory_size, alignment;
};
static_assert(sizeof(Elf64ProgramHeader) == 56);
inline constexpr std::uint32_t kElfLoad = 1, kElfNote = 4;

struct Elf64SectionHeader {
    std::uint32_t name, type;
    std::uint64_t flags, address, offset, size;
    std::uint32_t link, info;
    std::uint64_t alignment, entry_size;
};
static_assert(sizeof(Elf64SectionHeader) == 64);
inline constexpr std::uint32_t kElfSectionNote = 7, kElfSectionNoBits = 8;

// A note; name and descriptor follow, each padded to four bytes.
struct ElfNote {
    std::uint32_t name_size, descriptor_size, type;
};

}  // namespace domus::abi
