// SPDX-License-Identifier: GPL-2.0-or-later
// What a Multiboot loader hands over: structures of the Multiboot Specification version 0.6.96 (section 3.3)
// and of the Multiboot2 Specification version 2.0 (section 3.6). All integers are little-endian and
// unaligned.
#pragma once

#include <cstdint>

namespace domus::abi {

inline constexpr std::uint32_t kMultiboot1Magic = 0x2badb002;  // in EAX at entry
inline constexpr std::uint32_t kMultiboot2Magic = 0x36d76289;

// Multiboot 1, section 3.3: which fields of the information structure are valid.
inline constexpr std::uint32_t kMb1Memory = 1u << 0, kMb1CommandLine = 1u << 2, kMb1Modules = 1u << 3,
                               kMb1MemoryMap = 1u << 6, kMb1LoaderName = 1u << 9, kMb1Framebuffer = 1u << 12;

struct [[gnu::packed]] Mb1Info {
    std::uint32_t flags;
    std::uint32_t mem_lower, mem_upper;  // KiB, from 0 and from 1 MiB
    std::uint32_t boot_device;
    std::uint32_t command_line;
    std::uint32_t module_count, modules;
    std::uint32_t symbols[4];
    std::uint32_t map_length, map;  // bytes, address
    std::uint32_t drives_length, drives;
    std::uint32_t config_table;
    std::uint32_t loader_name;
    std::uint32_t apm_table;
    std::uint32_t vbe_control_info, vbe_mode_info;
    std::uint16_t vbe_mode, vbe_interface_segment, vbe_interface_offset, vbe_interface_length;
};
static_assert(sizeof(Mb1Info) == 88);

// The fields behind Mb1Info that are there if kMb1Framebuffer is set; the same run of fields is in
// Mb2Framebuffer.
struct [[gnu::packed]] MbFramebuffer {
    std::uint64_t address;
    std::uint32_t pitch;          // bytes per line
    std::uint32_t width, height;  // pixels, or characters in text mode
    std::uint8_t bits_per_pixel;
    std::uint8_t type;  // MbFramebufferType
};
inline constexpr std::uint8_t kMbFramebufferIndexed = 0, kMbFramebufferRgb = 1, kMbFramebufferText = 2;
struct [[gnu::packed]] MbRgbInfo {
    std::uint8_t red_position, red_size, green_position, green_size, blue_position, blue_size;
};

struct [[gnu::packed]] Mb1Module {
    std::uint32_t start, end;  // addresses of the first byte and of the byte after the last
    std::uint32_t command_line;
    std::uint32_t reserved;
};
static_assert(sizeof(Mb1Module) == 16);

struct [[gnu::packed]] Mb1MapEntry {
    std::uint32_t size;  // bytes of the entry without this field; at least 20
    std::uint64_t address, length;
    std::uint32_t type;  // E820 numbers
};
static_assert(sizeof(Mb1MapEntry) == 24);

// Multiboot 2: a header, then tags, each aligned to 8 bytes, up to one of type end.
struct [[gnu::packed]] Mb2Info {
    std::uint32_t total_size, reserved;
};
struct [[gnu::packed]] Mb2Tag {
    std::uint32_t type, size;  // size: bytes, this header included
};
inline constexpr std::uint32_t kMb2End = 0, kMb2CommandLine = 1, kMb2LoaderName = 2, kMb2Module = 3,
                               kMb2BasicMemory = 4, kMb2MemoryMap = 6, kMb2Framebuffer = 8, kMb2Efi32 = 11,
                               kMb2Efi64 = 12, kMb2AcpiOld = 14, kMb2AcpiNew = 15, kMb2EfiMemoryMap = 17;
struct [[gnu::packed]] Mb2Module {
    Mb2Tag tag;
    std::uint32_t start, end;
    // then the command line, terminated
};
struct [[gnu::packed]] Mb2BasicMemory {
    Mb2Tag tag;
    std::uint32_t mem_lower, mem_upper;
};
struct [[gnu::packed]] Mb2MemoryMap {
    Mb2Tag tag;
    std::uint32_t entry_size, entry_version;
};
struct [[gnu::packed]] Mb2MapEntry {
    std::uint64_t address, length;
    std::uint32_t type, reserved;
};
struct [[gnu::packed]] Mb2Framebuffer {
    Mb2Tag tag;
    MbFramebuffer common;
    std::uint16_t reserved;
    // then MbRgbInfo if the type is RGB
};
struct [[gnu::packed]] Mb2EfiMemoryMap {
    Mb2Tag tag;
    std::uint32_t descriptor_size, descriptor_version;
};
// UEFI Specification 2.9, 7.2: EFI_MEMORY_DESCRIPTOR.
struct [[gnu::packed]] EfiMemoryDescriptor {
    std::uint32_t type, pad;
    std::uint64_t physical_start, virtual_start, pages, attributes;
};
static_assert(sizeof(EfiMemoryDescriptor) == 40);

}  // namespace domus::abi
