// SPDX-License-Identifier: GPL-2.0-or-later
// Taking apart bzImage and ELF headers, each number checked against the file's size before its use.
#include "boot/kernel_image.hpp"

#include "abi/elf64.hpp"
#include "base/log.hpp"
#include "boot/bytes.hpp"

namespace domus {
namespace {

using namespace abi;
using Bytes = std::span<const std::byte>;

constexpr u64 kMostUnpacked = kGiB;  // beyond any kernel
constexpr u64 kMostSpan = kGiB;

constexpr const char* kNotAKernel =
    "the first boot module is not a kernel. Make the first module a 64-bit Linux kernel (bzImage or ELF) "
    "with "
    "CONFIG_XEN_PV and CONFIG_XEN_DOM0, such as Debian's /boot/vmlinuz.";
constexpr const char* kCutOff =
    "the kernel, the first boot module, is cut off or damaged. Copy the kernel file again, and give the boot "
    "loader the whole of it.";

// Linux Documentation/arch/x86/boot.rst: offsets in the file's first kilobyte.
constexpr u64 kSetupSectors = 0x1f1, kBootFlag = 0x1fe, kHeaderMagic = 0x202, kVersion = 0x206,
              kPayloadOffset = 0x248, kPayloadLength = 0x24c;

Attempt<KernelPayload> find_in_bzimage(Bytes module) {
    u8 sectors = 0;
    u16 flag = 0, version = 0;
    u32 magic = 0, offset = 0, length = 0;
    if (!read_at(module, kBootFlag, flag) || flag != 0xaa55 || !read_at(module, kHeaderMagic, magic) ||
        magic != 0x53726448)  // "HdrS"
        return refusal(kNotAKernel);
    if (!read_at(module, kSetupSectors, sectors) || !read_at(module, kVersion, version) ||
        !read_at(module, kPayloadOffset, offset) || !read_at(module, kPayloadLength, length))
        return refusal(kCutOff);
    if (version < 0x208) {
        log(Level::error, "dom0: the kernel has boot protocol {}.{}, 2.8 is needed", version >> 8,
            version & 0xff);
        return refusal(
            "the kernel's boot protocol is too old. Use Linux 2.6.24 or later, or an unpacked ELF kernel.");
    }
    const u64 setup = (sectors == 0 ? 4 : u64{sectors}) * 512 + 512;
    KernelPayload payload;
    if (!part_of(module, setup + offset, length, payload.bytes)) {
        log(Level::error, "dom0: the kernel's packed data end at byte {} of {}", setup + offset + length,
            module.size());
        return refusal(kCutOff);
    }
    const auto packing = identify(payload.bytes);
    if (!packing)
        return refusal(
            "the kernel is packed in an unknown way (compression). Use a kernel packed with gzip, xz, lzma, "
            "zstd, lz4 "
            "or bzip2, or an unpacked ELF kernel.");
    payload.packing = *packing;
    payload.unpacked_size =
        *packing == Compression::none ? payload.bytes.size() : unpacked_size_hint(payload.bytes).value_or(0);
    return payload;
}

}  // namespace

Attempt<KernelPayload> find_kernel(Bytes module) {
    KernelPayload payload{module, Compression::none, module.size()};
    u32 magic = 0;
    if (read_at(module, 0, magic) && magic == 0x464c457f) return payload;
    u16 gzip = 0;
    if (read_at(module, 0, gzip) && gzip == 0x8b1f) {  // RFC 1952: its last four bytes are the size
        payload.packing = Compression::gzip;
        payload.unpacked_size = unpacked_size_hint(module).value_or(0);
    } else {
        auto found = find_in_bzimage(module);
        if (!found) return found;
        payload = *found;
    }
    if (payload.unpacked_size == 0 || payload.unpacked_size > kMostUnpacked) {
        log(Level::error, "dom0: the kernel claims to unpack to {} bytes", payload.unpacked_size);
        return refusal(kCutOff);
    }
    return payload;
}

Attempt<ElfImage> ElfImage::parse(Bytes file) {
    Elf64Header h;
    if (!read_at(file, 0, h) || h.ident[0] != 0x7f || h.ident[1] != 'E' || h.ident[2] != 'L' ||
        h.ident[3] != 'F')
        return refusal(kNotAKernel);
    if (h.ident[4] == kElfClass32 || h.machine == kElfMachine386)
        return refusal("the kernel is a 32-bit one. Use a 64-bit (x86-64) kernel.");
    if (h.ident[4] != kElfClass64 || h.ident[5] != kElfLittleEndian || h.machine != kElfMachineX86_64) {
        log(Level::error, "dom0: the kernel is for ELF machine {}", h.machine);
        return refusal("the kernel is for another kind of processor. Use a 64-bit x86 (x86-64) kernel.");
    }
    if (h.type != kElfExecutable && h.type != kElfShared) return refusal(kNotAKernel);

    ElfImage image;
    image.file_ = file;
    image.entry_ = h.entry;
    Bytes table;
    if (h.program_header_count != 0 && h.program_header_size != sizeof(Elf64ProgramHeader))
        return refusal(kCutOff);
    if (!part_of(file, h.program_headers, u64{h.program_header_count} * sizeof(Elf64ProgramHeader), table))
        return refusal(kCutOff);
    image.headers_at_ = h.program_headers;
    image.header_count_ = h.program_header_count;
    // Sections are a help, not a need: one that is missing or wrong is left out.
    if (h.section_header_size == sizeof(Elf64SectionHeader) &&
        part_of(file, h.section_headers, u64{h.section_header_count} * sizeof(Elf64SectionHeader), table)) {
        image.sections_at_ = h.section_headers;
        image.section_count_ = h.section_header_count;
        image.names_section_ = h.section_names;
    }

    u64 start = ~u64{0}, end = 0;
    for (u32 i = 0; i < image.header_count_; i++) {
        Elf64ProgramHeader p;
        if (!read_at(file, image.headers_at_ + u64{i} * sizeof p, p)) return refusal(kCutOff);
        if (p.type != kElfLoad || p.memory_size == 0) continue;
        Bytes bytes;
        if (p.file_size > p.memory_size || p.physical_address + p.memory_size < p.physical_address ||
            p.physical_address + p.memory_size > ~u64{0} - kPageSize ||
            !part_of(file, p.offset, p.file_size, bytes)) {
            log(Level::error,
                "dom0: the kernel's segment {} (offset {:#x}, {:#x} of {:#x} bytes) is not in the file", i,
                p.offset, p.file_size, p.memory_size);
            return refusal(kCutOff);
        }
        if (p.physical_address < start) start = p.physical_address;
        if (p.physical_address + p.memory_size > end) end = p.physical_address + p.memory_size;
    }
    if (end == 0)
        return refusal("the kernel has nothing to load. Use a 64-bit Linux kernel (bzImage or ELF).");
    image.start_ = round_down(start, kPageSize);
    image.end_ = round_up(end, kPageSize);
    if (image.end_ - image.start_ > kMostSpan) {
        log(Level::error, "dom0: the kernel spans {:#x} to {:#x}", image.start_, image.end_);
        return refusal("the kernel's segments are more than 1 GiB apart. Use a kernel for PV domains.");
    }
    return image;
}

std::optional<ElfImage::Segment> ElfImage::load_segment(u32 index) const {
    Elf64ProgramHeader p;
    Segment s;
    if (index >= header_count_ || !read_at(file_, headers_at_ + u64{index} * sizeof p, p) ||
        p.type != kElfLoad || p.memory_size == 0 || !part_of(file_, p.offset, p.file_size, s.bytes))
        return std::nullopt;
    s.physical = p.physical_address;
    s.size = p.memory_size;
    return s;
}

Bytes ElfImage::note_segment(u32 index) const {
    Elf64ProgramHeader p;
    Bytes bytes;
    if (index < header_count_ && read_at(file_, headers_at_ + u64{index} * sizeof p, p) && p.type == kElfNote)
        static_cast<void>(part_of(file_, p.offset, p.file_size, bytes));
    return bytes;
}

Bytes ElfImage::note_section(u32 index) const {
    Elf64SectionHeader s;
    Bytes bytes;
    if (index < section_count_ && read_at(file_, sections_at_ + u64{index} * sizeof s, s) &&
        s.type == kElfSectionNote)
        static_cast<void>(part_of(file_, s.offset, s.size, bytes));
    return bytes;
}

Bytes ElfImage::section(const char* name) const {
    const usize length = __builtin_strlen(name) + 1;
    Elf64SectionHeader names, s;
    if (names_section_ >= section_count_ ||
        !read_at(file_, sections_at_ + u64{names_section_} * sizeof names, names))
        return {};
    for (u32 i = 0; i < section_count_; i++) {
        Bytes text, bytes;
        if (!read_at(file_, sections_at_ + u64{i} * sizeof s, s)) return {};
        if (s.type == kElfSectionNoBits || s.name >= names.size || length > names.size - s.name) continue;
        if (names.offset + s.name < names.offset || !part_of(file_, names.offset + s.name, length, text))
            continue;
        if (__builtin_memcmp(text.data(), name, length) == 0 && part_of(file_, s.offset, s.size, bytes))
            return bytes;
    }
    return {};
}

}  // namespace domus
