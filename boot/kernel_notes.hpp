// SPDX-License-Identifier: GPL-2.0-or-later
// What a PV kernel says of itself: its ELF notes (public elfnote.h), or the older __xen_guest section.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "base/types.hpp"
#include "boot/kernel_image.hpp"
#include "boot/refusal.hpp"

namespace domus {

struct KernelNotes {
    u64 entry = 0;
    u64 virt_base = 0;
    u64 paddr_offset = 0;
    std::optional<u64> hypercall_page;
    std::optional<u64> init_p2m;
    std::optional<u64> hv_start_low;
    std::optional<u64> phys32_entry;
    bool mod_start_pfn = false;
    bool suspend_cancel = false;
    bool bsd_symtab = false;
    std::string_view guest_os, guest_version, xen_version, loader, pae_mode, features_text;  // in the image
    u32 required = 0, supported = 0;  // bit n: feature n of public features.h
    bool supported_given = false;     // by the numeric note

    // Where the pseudo-physical address `paddr` of the file is mapped.
    u64 virtual_of(u64 paddr) const { return paddr - paddr_offset + virt_base; }
};

// Reads and checks the notes of a kernel that is to become a 64-bit PV dom0: its addresses are consistent,
// lie outside of the hypervisor's range, and nothing it requires is missing.
Attempt<KernelNotes> read_kernel_notes(const ElfImage& image);

// The number of a feature of public features.h, by its name there without the prefix.
std::optional<u32> feature_number(std::string_view name);

}  // namespace domus
