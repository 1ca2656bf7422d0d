// SPDX-License-Identifier: GPL-2.0-or-later
// What the boot loader handed over, in one form for every loader. Everything is copied: once this is filled
// in, the loader's own structures may be overwritten. Some 30 KiB: static, never on a stack.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/types.hpp"
#include "boot/memory_map.hpp"

namespace domus {

struct BootModule {
    Maddr start{}, end{};  // end exclusive; not empty
    // As the loader passed it: with the file name in front from QEMU, without from GRUB 2. Use
    // module_arguments().
    std::string_view command_line;
    u64 size() const { return end.v - start.v; }
};

// A frame buffer set up by firmware or the loader.
struct VideoMode {
    enum class Kind : u8 { none, text, linear } kind = Kind::none;
    u64 address = 0;
    u32 pitch = 0;              // bytes per line
    u32 width = 0, height = 0;  // pixels, or characters in text mode
    u8 bits_per_pixel = 0;
    u8 red_position = 0, red_size = 0, green_position = 0, green_size = 0, blue_position = 0, blue_size = 0;
    u16 cursor_x = 0, cursor_y = 0, font_height = 16;  // text mode
};

struct BootInfo {
    static constexpr usize kMaxModules = 16;

    BootInfo() = default;
    BootInfo(const BootInfo&) = delete;  // views point into `text`
    BootInfo& operator=(const BootInfo&) = delete;

    std::string_view command_line;  // as passed
    std::string_view loader;        // name, "" if it gave none
    std::array<BootModule, kMaxModules> module_table{};
    u32 module_count = 0;
    MemoryMap memory;  // as passed, not sanitised

    std::array<u8, 36> rsdp{};  // a copy of the ACPI root pointer structure, if the loader gave one
    u32 rsdp_size = 0;          // bytes valid in it: 0, 20 or 36
    u64 efi_system_table = 0;   // machine address, 0 without EFI
    VideoMode video;
    // EFI's own memory map, neighbours that say the same as one; the rest is left out if there are more.
    struct EfiRange {
        u64 start = 0, pages = 0, attributes = 0;
        u32 type = 0;
    };
    std::array<EfiRange, 512> efi_map{};
    u32 efi_ranges = 0;

    std::span<const BootModule> modules() const { return {module_table.data(), module_count}; }

    // The texts above live here.
    std::array<char, 16 * 1024> text{};
    usize text_used = 0;
};

// The hypervisor's options: the command line without the image's name where the loader passes that (all but
// GRUB 2).
std::string_view hypervisor_arguments(const BootInfo& info);
// Likewise the arguments of a module: what dom0's kernel gets as its command line.
std::string_view module_arguments(const BootInfo& info, const BootModule& module);

}  // namespace domus
