// SPDX-License-Identifier: GPL-2.0-or-later
// Reading both versions' information, each address and length checked before its use.
#include "boot/multiboot.hpp"

#include "abi/multiboot.hpp"
#include "base/log.hpp"

namespace domus {
namespace {

using namespace abi;

constexpr usize kMaxText = 4096;           // of one command line; Linux takes 2048
constexpr u64 kMaxInfo = 16 * kMiB;        // a Multiboot 2 information block
constexpr u32 kMaxMapEntries = 16 * 1024;  // more is garbage

class Parser {
  public:
    Parser(const PhysReader& memory, BootInfo& out) : memory_(memory), out_(out) {}

    Result<> multiboot1(u64 at);
    Result<> multiboot2(u64 at);
    // One line for all that found no room.
    void tell_left_out();

  private:
    template <class T>
    bool get(u64 at, T& value) const {
        if (at + sizeof(T) < at) return false;
        const void* p = memory_.at(at, sizeof(T));
        if (p == nullptr) return false;
        __builtin_memcpy(&value, p, sizeof(T));
        return true;
    }

    // Copies a terminated text of at most `limit` bytes from `at`; what cannot be read or stored is cut.
    std::string_view text(u64 at, u64 limit, const char* what);
    void add_module(u64 start, u64 end, std::string_view command_line);
    void set_framebuffer(const MbFramebuffer& fb, const MbRgbInfo& rgb);
    void basic_memory(u32 lower_kib, u32 upper_kib);
    void add_memory(u64 start, u64 size, u32 type);

    void mb1_map(u64 at, u64 length);
    void mb2_tag(const Mb2Tag& tag, u64 at);
    void mb2_map(const Mb2Tag& tag, u64 at);
    void efi_map(const Mb2Tag& tag, u64 at);
    void add_efi_regions();

    const PhysReader& memory_;
    BootInfo& out_;
    // What found no room: bytes of usable memory, and ranges of EFI's map.
    u64 memory_left_out_ = 0, efi_left_out_ = 0, efi_memory_left_out_ = 0;
    bool map_full_ = false;
};

std::string_view Parser::text(u64 at, u64 limit, const char* what) {
    char* const start = out_.text.data() + out_.text_used;
    const usize room = out_.text.size() - out_.text_used;
    const usize most = limit < kMaxText ? static_cast<usize>(limit) : kMaxText;
    usize n = 0;
    for (;; n++) {
        char c = 0;
        if (n == most) {
            if (most == kMaxText)
                log(Level::warning, "boot: {} is longer than {} bytes: cut", what, kMaxText);
            break;
        }
        if (n == room) {
            log(Level::warning, "boot: the texts of the boot loader are longer than {} bytes: {} is cut",
                out_.text.size(), what);
            break;
        }
        if (!get(at + n, c)) {
            log(Level::warning, "boot: {} at {:#x} is outside of memory", what, at + n);
            break;
        }
        if (c == '\0') break;
        start[n] = c;
    }
    out_.text_used += n;
    return {start, n};
}

void Parser::add_module(u64 start, u64 end, std::string_view command_line) {
    if (end <= start) {
        log(Level::warning, "boot: module {:#x} to {:#x} ('{}') is empty: left out", start, end,
            command_line);
    } else if (out_.module_count == BootInfo::kMaxModules) {
        log(Level::warning, "boot: more than {} modules: '{}' left out", BootInfo::kMaxModules, command_line);
    } else {
        out_.module_table[out_.module_count++] = {Maddr(start), Maddr(end), command_line};
    }
}

void Parser::set_framebuffer(const MbFramebuffer& fb, const MbRgbInfo& rgb) {
    VideoMode& v = out_.video;
    if (fb.type == kMbFramebufferText) {
        v.kind = VideoMode::Kind::text;
    } else if (fb.type == kMbFramebufferRgb) {
        v.kind = VideoMode::Kind::linear;
        v.red_position = rgb.red_position, v.red_size = rgb.red_size;
        v.green_position = rgb.green_position, v.green_size = rgb.green_size;
        v.blue_position = rgb.blue_position, v.blue_size = rgb.blue_size;
    } else {
        return;
    }
    v.address = fb.address;
    v.pitch = fb.pitch;
    v.width = fb.width, v.height = fb.height;
    v.bits_per_pixel = fb.bits_per_pixel;
}

void Parser::add_memory(u64 start, u64 size, u32 type) {
    if (out_.memory.add(start, size, type)) return;
    map_full_ = true;
    if (type == static_cast<u32>(MemoryType::usable)) memory_left_out_ += size;
}

void Parser::tell_left_out() {
    if (map_full_)
        log(Level::warning, "boot: the memory map has more than {} regions: {} MiB of memory are not used",
            MemoryMap::kCapacity, memory_left_out_ / kMiB);
    if (efi_left_out_ != 0)
        log(Level::warning, "boot: EFI's memory map has {} ranges more than {}: dom0 is not told of them",
            efi_left_out_, out_.efi_map.size());
}

void Parser::basic_memory(u32 lower_kib, u32 upper_kib) {
    if (!out_.memory.regions().empty()) return;
    log(Level::warning, "boot: the boot loader gave no memory map: using {} KiB below and {} KiB above 1 MiB",
        lower_kib, upper_kib);
    out_.memory.add(0, u64{lower_kib} * kKiB, 1);
    out_.memory.add(kMiB, u64{upper_kib} * kKiB, 1);
}

void Parser::mb1_map(u64 at, u64 length) {
    const u64 end = at + length;
    for (u32 n = 0; n < kMaxMapEntries && at + sizeof(Mb1MapEntry) <= end; n++) {
        Mb1MapEntry e;
        if (!get(at, e)) {
            log(Level::warning, "boot: memory map entry at {:#x} is outside of memory", at);
            return;
        }
        if (e.size < sizeof e - sizeof e.size) {
            log(Level::warning,
                "boot: memory map entry at {:#x} has a size of {} bytes: the rest is not used", at,
                u32{e.size});
            return;
        }
        add_memory(e.address, e.length, e.type);
        at += u64{e.size} + sizeof e.size;
    }
}

Result<> Parser::multiboot1(u64 at) {
    Mb1Info info;
    if (!get(at, info)) return fail(Error::fault);
    if ((info.flags & kMb1LoaderName) != 0)
        out_.loader = text(info.loader_name, kMaxText, "the loader's name");
    if ((info.flags & kMb1CommandLine) != 0)
        out_.command_line = text(info.command_line, kMaxText, "the command line");
    if ((info.flags & kMb1Modules) != 0) {
        for (u32 i = 0; i < info.module_count; i++) {
            Mb1Module m;
            if (i > 2 * BootInfo::kMaxModules || !get(u64{info.modules} + u64{i} * sizeof m, m)) {
                log(Level::warning, "boot: the loader lists {} modules, of which {} are readable",
                    u32{info.module_count}, i);
                break;
            }
            const auto line = m.command_line != 0 ? text(m.command_line, kMaxText, "a module's command line")
                                                  : std::string_view{};
            add_module(m.start, m.end, line);
        }
    }
    if ((info.flags & kMb1MemoryMap) != 0) mb1_map(info.map, info.map_length);
    if ((info.flags & kMb1Memory) != 0) basic_memory(info.mem_lower, info.mem_upper);
    if ((info.flags & kMb1Framebuffer) != 0) {
        MbFramebuffer fb;
        MbRgbInfo rgb;
        if (get(at + sizeof info, fb) && get(at + sizeof info + sizeof fb, rgb)) set_framebuffer(fb, rgb);
    }
    return {};
}

void Parser::mb2_map(const Mb2Tag& tag, u64 at) {
    Mb2MemoryMap map;
    if (tag.size < sizeof map || !get(at, map) || map.entry_size < sizeof(Mb2MapEntry)) {
        log(Level::warning, "boot: malformed memory map tag: not used");
        return;
    }
    const u64 end = at + tag.size;
    for (u64 p = at + sizeof map; p + sizeof(Mb2MapEntry) <= end; p += map.entry_size) {
        Mb2MapEntry e;
        if (!get(p, e)) return;
        add_memory(e.address, e.length, e.type);
    }
}

// UEFI 2.9, 7.2: boot services' memory is free once they have ended.
constexpr MemoryType efi_memory_type(u32 type) {
    if ((type >= 1 && type <= 4) || type == 7) return MemoryType::usable;
    if (type == 8) return MemoryType::unusable;
    if (type == 9) return MemoryType::acpi;
    if (type == 10) return MemoryType::nvs;
    return MemoryType::reserved;
}

constexpr bool continues(const BootInfo::EfiRange& r, const BootInfo::EfiRange& next) {
    constexpr u64 most = ~u64{0} >> kPageShift;
    return r.type == next.type && r.attributes == next.attributes && r.pages <= most - next.pages &&
           r.start + (r.pages << kPageShift) == next.start;
}

void Parser::efi_map(const Mb2Tag& tag, u64 at) {
    Mb2EfiMemoryMap map;
    if (tag.size < sizeof map || !get(at, map) || map.descriptor_size < sizeof(EfiMemoryDescriptor)) {
        log(Level::warning, "boot: malformed EFI memory map tag: not used");
        return;
    }
    const u64 end = at + tag.size;
    for (u64 p = at + sizeof map; p + sizeof(EfiMemoryDescriptor) <= end; p += map.descriptor_size) {
        EfiMemoryDescriptor d;
        if (!get(p, d)) return;
        const u64 most = ~u64{0} >> kPageShift;
        const BootInfo::EfiRange r{.start = d.physical_start,
                                   .pages = d.pages < most ? u64{d.pages} : most,
                                   .attributes = d.attributes,
                                   .type = d.type};
        if (out_.efi_ranges != 0 && continues(out_.efi_map[out_.efi_ranges - 1], r)) {
            out_.efi_map[out_.efi_ranges - 1].pages += r.pages;
        } else if (out_.efi_ranges != out_.efi_map.size()) {
            out_.efi_map[out_.efi_ranges++] = r;
        } else {
            efi_left_out_++;
            if (efi_memory_type(r.type) == MemoryType::usable) efi_memory_left_out_ += r.pages << kPageShift;
        }
    }
}

// If the loader passed no E820-like map.
void Parser::add_efi_regions() {
    for (const BootInfo::EfiRange& r : std::span(out_.efi_map).first(out_.efi_ranges))
        add_memory(r.start, r.pages << kPageShift, static_cast<u32>(efi_memory_type(r.type)));
    memory_left_out_ += efi_memory_left_out_;
    map_full_ = map_full_ || efi_left_out_ != 0;
}

void Parser::mb2_tag(const Mb2Tag& tag, u64 at) {
    const u64 body = at + sizeof tag, body_size = tag.size - sizeof tag;
    switch (tag.type) {
        case kMb2CommandLine: out_.command_line = text(body, body_size, "the command line"); break;
        case kMb2LoaderName: out_.loader = text(body, body_size, "the loader's name"); break;
        case kMb2Module: {
            Mb2Module m;
            if (tag.size < sizeof m || !get(at, m)) break;
            add_module(m.start, m.end, text(at + sizeof m, tag.size - sizeof m, "a module's command line"));
            break;
        }
        case kMb2MemoryMap: mb2_map(tag, at); break;
        case kMb2EfiMemoryMap: efi_map(tag, at); break;
        case kMb2Framebuffer: {
            Mb2Framebuffer fb;
            MbRgbInfo rgb{};
            if (tag.size < sizeof fb || !get(at, fb)) break;
            if (tag.size >= sizeof fb + sizeof rgb && !get(at + sizeof fb, rgb)) break;
            set_framebuffer(fb.common, rgb);
            break;
        }
        case kMb2Efi64: {
            u64 table = 0;
            if (body_size >= sizeof table && get(body, table)) out_.efi_system_table = table;
            break;
        }
        case kMb2AcpiOld:
        case kMb2AcpiNew: {
            const u32 size = tag.type == kMb2AcpiOld ? 20 : 36;
            if (body_size < size || size < out_.rsdp_size) break;
            const void* p = memory_.at(body, size);
            if (p == nullptr) break;
            __builtin_memcpy(out_.rsdp.data(), p, size);
            out_.rsdp_size = size;
            break;
        }
        default: break;
    }
}

Result<> Parser::multiboot2(u64 at) {
    Mb2Info info;
    if (!get(at, info)) return fail(Error::fault);
    if (info.total_size < sizeof info || info.total_size > kMaxInfo) return fail(Error::fault);
    const u64 end = at + info.total_size;
    Mb2BasicMemory basic{};
    for (u64 p = at + sizeof info; p + sizeof(Mb2Tag) <= end;) {
        Mb2Tag tag;
        if (!get(p, tag)) return fail(Error::fault);
        if (tag.type == kMb2End) break;
        if (tag.size < sizeof tag || tag.size > end - p) {
            log(Level::warning,
                "boot: tag {} of the boot loader has a size of {} bytes: the rest is not used", u32{tag.type},
                u32{tag.size});
            break;
        }
        if (tag.type == kMb2BasicMemory && tag.size >= sizeof basic) {
            if (!get(p, basic)) return fail(Error::fault);
        }
        mb2_tag(tag, p);
        p = round_up(p + tag.size, 8);
    }
    if (out_.memory.regions().empty()) add_efi_regions();
    if (basic.tag.size != 0) basic_memory(basic.mem_lower, basic.mem_upper);
    return {};
}

// GRUB 2 passes the arguments alone; QEMU, GRUB 0.97 and others put the file's name in front.
bool loader_omits_file_name(std::string_view loader) {
    return loader.size() > 5 && loader.starts_with("GRUB ") && loader[5] != '0';
}

std::string_view arguments(const BootInfo& info, std::string_view line) {
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    if (!loader_omits_file_name(info.loader)) {
        while (!line.empty() && line.front() != ' ') line.remove_prefix(1);
        while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    }
    return line;
}

}  // namespace

Result<> read_multiboot(u32 magic, Maddr info, const PhysReader& memory, BootInfo& out) {
    Parser parser(memory, out);
    if (magic != kMultiboot1Magic && magic != kMultiboot2Magic) return fail(Error::inval);
    const Result<> read = magic == kMultiboot1Magic ? parser.multiboot1(info.v) : parser.multiboot2(info.v);
    parser.tell_left_out();
    return read;
}

std::string_view hypervisor_arguments(const BootInfo& info) { return arguments(info, info.command_line); }
std::string_view module_arguments(const BootInfo& info, const BootModule& module) {
    return arguments(info, module.command_line);
}

}  // namespace domus
