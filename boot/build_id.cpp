// SPDX-License-Identifier: GPL-2.0-or-later
// Finding the build id.
#include "boot/build_id.hpp"

#include <cstring>

#include "abi/elf64.hpp"

namespace domus {

namespace {
constexpr u32 kGnuBuildId = 3;  // NT_GNU_BUILD_ID; the owner's name is "GNU"
constexpr usize padded(usize size) { return (size + 3) & ~usize{3}; }
}  // namespace

std::span<const u8> find_build_id(std::span<const u8> notes) {
    while (notes.size() >= sizeof(abi::ElfNote)) {
        abi::ElfNote note;
        std::memcpy(&note, notes.data(), sizeof note);
        notes = notes.subspan(sizeof note);
        const usize name = padded(note.name_size), descriptor = padded(note.descriptor_size);
        if (name > notes.size() || descriptor > notes.size() - name) return {};
        if (note.type == kGnuBuildId && note.name_size == 4 && std::memcmp(notes.data(), "GNU", 4) == 0)
            return notes.subspan(name, note.descriptor_size);
        notes = notes.subspan(name + descriptor);
    }
    return {};
}

}  // namespace domus
