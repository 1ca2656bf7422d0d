// SPDX-License-Identifier: GPL-2.0-or-later
// Makes kernel files for tests: ELF images with Xen notes, and bzImages around them.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "abi/elf64.hpp"
#include "abi/xen.hpp"
#include "base/types.hpp"

namespace domus::test {

using File = std::vector<std::byte>;

inline std::span<const std::byte> bytes(const File& f) { return f; }

struct NoteText {
    std::string bytes;
    NoteText& add(u32 type, const void* value, u32 size, const char* name = "Xen") {
        const u32 head[3] = {static_cast<u32>(std::strlen(name) + 1), size, type};
        bytes.append(reinterpret_cast<const char*>(head), sizeof head);
        bytes.append(name, head[0]);
        pad();
        bytes.append(static_cast<const char*>(value), size);
        pad();
        return *this;
    }
    NoteText& number(u32 type, u64 value) { return add(type, &value, 8); }
    NoteText& number32(u32 type, u32 value) { return add(type, &value, 4); }
    NoteText& text(u32 type, const char* value) {
        return add(type, value, static_cast<u32>(std::strlen(value) + 1));
    }
    void pad() { bytes.resize(round_up(bytes.size(), 4)); }
};

// A kernel like Linux's: at 16 MiB, two segments, the second mostly zero.
struct KernelMaker {
    static constexpr u64 kBase = 0xffffffff80000000, kStart = 16 * kMiB;
    NoteText notes;
    std::string legacy;  // contents of a __xen_guest section instead
    u64 text_size = 0x5000, data_file_size = 0x1800, data_size = 0x9000;
    u64 entry = kBase + kStart + 0x40;
    u8 elf_class = 2;
    u16 machine = 62;

    static KernelMaker linux_like() {
        KernelMaker k;
        k.notes.text(XEN_ELFNOTE_GUEST_OS, "linux")
            .text(XEN_ELFNOTE_GUEST_VERSION, "2.6")
            .text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0")
            .number(XEN_ELFNOTE_VIRT_BASE, kBase)
            .number(XEN_ELFNOTE_INIT_P2M, 0x8000000000)
            .number(XEN_ELFNOTE_ENTRY, kBase + kStart + 0x123)
            .number(XEN_ELFNOTE_HYPERCALL_PAGE, kBase + kStart + 0x1000)
            .text(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb")
            .number32(XEN_ELFNOTE_SUPPORTED_FEATURES, 0x8801)
            .text(XEN_ELFNOTE_PAE_MODE, "yes")
            .text(XEN_ELFNOTE_LOADER, "generic")
            .number32(XEN_ELFNOTE_SUSPEND_CANCEL, 1)
            .number32(XEN_ELFNOTE_MOD_START_PFN, 1)
            .number(XEN_ELFNOTE_HV_START_LOW, 0xffff800000000000)
            .number(XEN_ELFNOTE_PADDR_OFFSET, 0);
        return k;
    }
    // One in the old form: no notes about the list of frames or the module.
    static KernelMaker plain() {
        KernelMaker k;
        k.notes.text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0")
            .number(XEN_ELFNOTE_VIRT_BASE, kBase)
            .number(XEN_ELFNOTE_ENTRY, kBase + kStart)
            .text(XEN_ELFNOTE_LOADER, "generic");
        return k;
    }

    File make() const {
        using namespace abi;
        const u64 text_at = 0x1000, data_at = text_at + text_size, notes_at = data_at + data_file_size,
                  names_at = round_up(notes_at + notes.bytes.size() + legacy.size(), 8),
                  sections_at = names_at + 64;
        File f(sections_at + 3 * sizeof(Elf64SectionHeader));
        Elf64Header h{};
        std::memcpy(h.ident,
                    "\x7f"
                    "ELF",
                    4);
        h.ident[4] = elf_class, h.ident[5] = 1, h.ident[6] = 1;
        h.type = 2, h.machine = machine, h.version = 1, h.entry = entry;
        h.program_headers = sizeof h, h.program_header_size = sizeof(Elf64ProgramHeader),
        h.program_header_count = 3;
        h.section_headers = sections_at, h.section_header_size = sizeof(Elf64SectionHeader),
        h.section_header_count = 3;
        h.section_names = 1, h.header_size = sizeof h;
        const Elf64ProgramHeader p[3] = {
            {1, 5, text_at, kBase + kStart, kStart, text_size, text_size, 0x1000},
            {1, 6, data_at, 0, kStart + 0x10000, data_file_size, data_size, 0x1000},
            {4, 4, notes_at, 0, 0, notes.bytes.size(), notes.bytes.size(), 4},
        };
        const char names[] = "\0.names\0__xen_guest";
        const Elf64SectionHeader s[3] = {
            {},
            {1, 3, 0, 0, names_at, sizeof names, 0, 0, 1, 0},
            {8, 1, 0, 0, notes_at + notes.bytes.size(), legacy.size(), 0, 0, 1, 0}};
        const auto put = [&f](u64 at, const void* from, u64 size) {
            if (size != 0) std::memcpy(f.data() + at, from, size);
        };
        put(0, &h, sizeof h);
        put(sizeof h, p, sizeof p);
        for (u64 i = text_at; i < notes_at; i++) f[i] = static_cast<std::byte>(i * 7 + (i >> 8));
        put(notes_at, notes.bytes.data(), notes.bytes.size());
        put(notes_at + notes.bytes.size(), legacy.data(), legacy.size());
        put(names_at, names, sizeof names);
        put(sections_at, s, legacy.empty() ? sizeof s[0] * 2 : sizeof s);
        return f;
    }
};

// A bzImage with this payload, which is followed by its unpacked size as Linux's build does it.
inline File bzimage(const File& packed, u32 unpacked_size) {
    const u64 setup = 5 * 512, payload_offset = 0x100;
    File f(setup + payload_offset + packed.size() + 4 + 100);
    const auto put = [&f](u64 at, u64 value, u64 size) { std::memcpy(f.data() + at, &value, size); };
    put(0x1f1, 4, 1);
    put(0x1fe, 0xaa55, 2);
    put(0x202, 0x53726448, 4);
    put(0x206, 0x20f, 2);
    put(0x248, payload_offset, 4);
    put(0x24c, packed.size() + 4, 4);
    std::memcpy(f.data() + setup + payload_offset, packed.data(), packed.size());
    put(setup + payload_offset + packed.size(), unpacked_size, 4);
    return f;
}

}  // namespace domus::test
