// SPDX-License-Identifier: GPL-2.0-or-later
// Reading ELF notes and the older text form into one struct.
#include "boot/kernel_notes.hpp"

#include "abi/elf64.hpp"
#include "abi/xen.hpp"
#include "arch_state/layout.hpp"
#include "base/log.hpp"
#include "boot/bytes.hpp"
#include "drivers/parse.hpp"

namespace domus {
namespace {

using Bytes = std::span<const std::byte>;
using Text = std::string_view;

constexpr const char* kNoPv =
    "the kernel has no Xen PV notes: it is not built to run as PV dom0. Use a 64-bit Linux kernel with "
    "CONFIG_XEN_PV and "
    "CONFIG_XEN_DOM0, such as Debian's.";
constexpr const char* kBadNotes =
    "the kernel's Xen notes contradict each other or the kernel (see the line before). Use another kernel.";

struct Feature {
    Text name;
    u32 number;
};
constexpr Feature kFeatures[] = {
    {"writable_page_tables", XENFEAT_writable_page_tables},
    {"writable_descriptor_tables", XENFEAT_writable_descriptor_tables},
    {"auto_translated_physmap", XENFEAT_auto_translated_physmap},
    {"supervisor_mode_kernel", XENFEAT_supervisor_mode_kernel},
    {"pae_pgdir_above_4gb", XENFEAT_pae_pgdir_above_4gb},
    {"dom0", XENFEAT_dom0},
};
constexpr u32 bit(u32 feature) { return 1u << feature; }

struct Reader {
    KernelNotes notes;
    bool any = false, entry_given = false, base_given = false, paddr_offset_given = false, legacy = false;
    const char* unknown_required = nullptr;

    void features(Text list);
    void note(u32 type, Bytes value);
    void notes_in(Bytes bytes);
    void pair(Text key, Text value);
    void guest_section(Bytes bytes);
};

Text as_text(Bytes value) {
    const Text t(reinterpret_cast<const char*>(value.data()), value.size());
    return t.substr(0, t.find('\0'));
}

std::optional<u64> as_number(Bytes value) {
    u64 v = 0;
    if (value.size() != 1 && value.size() != 2 && value.size() != 4 && value.size() != 8) return std::nullopt;
    __builtin_memcpy(&v, value.data(), value.size());
    return v;
}

// "a|!b|c", where '!' marks what the kernel cannot do without.
void Reader::features(Text list) {
    notes.features_text = list;
    while (!list.empty()) {
        Text name = cut(list, '|');
        const bool required = name.starts_with('!');
        if (required) name.remove_prefix(1);
        const auto number = feature_number(name);
        if (number) {
            notes.supported |= bit(*number);
            if (required) notes.required |= bit(*number);
        } else if (required) {
            log(Level::error, "dom0: the kernel requires the unknown feature '{}'", name);
            unknown_required = "the kernel requires a feature that Domus does not have. Use another kernel.";
        }
    }
}

void Reader::note(u32 type, Bytes value) {
    any = true;
    const auto number = as_number(value);
    const auto set = [&](u64& field, bool& given) {
        if (number) field = *number, given = true;
    };
    bool ignored = false;
    switch (type) {
        case XEN_ELFNOTE_ENTRY: set(notes.entry, entry_given); break;
        case XEN_ELFNOTE_HYPERCALL_PAGE: notes.hypercall_page = number; break;
        case XEN_ELFNOTE_VIRT_BASE: set(notes.virt_base, base_given); break;
        case XEN_ELFNOTE_PADDR_OFFSET: set(notes.paddr_offset, paddr_offset_given); break;
        case XEN_ELFNOTE_HV_START_LOW: notes.hv_start_low = number; break;
        case XEN_ELFNOTE_INIT_P2M: notes.init_p2m = number; break;
        case XEN_ELFNOTE_PHYS32_ENTRY: notes.phys32_entry = number; break;
        case XEN_ELFNOTE_MOD_START_PFN: notes.mod_start_pfn = number.value_or(0) != 0; break;
        case XEN_ELFNOTE_SUSPEND_CANCEL: notes.suspend_cancel = number.value_or(0) != 0; break;
        case XEN_ELFNOTE_SUPPORTED_FEATURES:
            if (number) notes.supported |= static_cast<u32>(*number), notes.supported_given = true;
            break;
        case XEN_ELFNOTE_FEATURES: features(as_text(value)); break;
        case XEN_ELFNOTE_GUEST_OS: notes.guest_os = as_text(value); break;
        case XEN_ELFNOTE_GUEST_VERSION: notes.guest_version = as_text(value); break;
        case XEN_ELFNOTE_XEN_VERSION: notes.xen_version = as_text(value); break;
        case XEN_ELFNOTE_LOADER: notes.loader = as_text(value); break;
        case XEN_ELFNOTE_PAE_MODE: notes.pae_mode = as_text(value); break;
        case XEN_ELFNOTE_BSD_SYMTAB: notes.bsd_symtab = as_text(value) == "yes"; break;
        default: ignored = true; break;
    }
    if (ignored) return;
    const Text text = as_text(value);
    // A short text is a number as well; only texts have their terminator where they end.
    const bool is_text = text.size() + 1 == value.size() && text.size() > 1;
    if (is_text)
        log(Level::debug, "dom0: kernel note {}: {}", type, text);
    else
        log(Level::debug, "dom0: kernel note {}: {:#x}", type, number.value_or(0));
}

void Reader::notes_in(Bytes bytes) {
    abi::ElfNote n;
    while (read_at(bytes, 0, n)) {
        const u64 name_at = sizeof n, value_at = name_at + round_up(n.name_size, 4);
        const u64 end = value_at + round_up(n.descriptor_size, 4);
        Bytes name, value;
        if (!part_of(bytes, name_at, n.name_size, name) ||
            !part_of(bytes, value_at, n.descriptor_size, value))
            return;
        if (name.size() == 4 && __builtin_memcmp(name.data(), "Xen", 4) == 0) note(n.type, value);
        if (end >= bytes.size()) return;
        bytes = bytes.subspan(end);
    }
}

void Reader::pair(Text key, Text value) {
    const auto number = parse_number(value);
    const auto set = [&](u64& field, bool& given) {
        if (number) field = *number, given = true;
    };
    if (key == "VIRT_ENTRY")
        set(notes.entry, entry_given);
    else if (key == "VIRT_BASE")
        set(notes.virt_base, base_given);
    else if (key == "ELF_PADDR_OFFSET")
        set(notes.paddr_offset, paddr_offset_given);
    else if (key == "HYPERCALL_PAGE" && number && *number < (u64{1} << 40))
        notes.hypercall_page = *number << kPageShift;
    else if (key == "GUEST_OS")
        notes.guest_os = value;
    else if (key == "GUEST_VER")
        notes.guest_version = value;
    else if (key == "XEN_VER")
        notes.xen_version = value;
    else if (key == "LOADER")
        notes.loader = value;
    else if (key == "PAE")
        notes.pae_mode = value;
    else if (key == "BSD_SYMTAB")
        notes.bsd_symtab = true;
    else if (key == "FEATURES")
        features(value);
}

void Reader::guest_section(Bytes bytes) {
    if (bytes.empty()) return;
    any = legacy = true;
    for (Text list = as_text(bytes); !list.empty();) {
        Text value = cut(list, ',');
        const Text key = cut(value, '=');
        pair(key, value);
    }
    // The legacy defaults (public elfnote.h).
    if (!paddr_offset_given) notes.paddr_offset = notes.virt_base;
    if (notes.hypercall_page) notes.hypercall_page = *notes.hypercall_page + notes.virt_base;
}

constexpr bool in_hypervisor(u64 start, u64 end) {
    return start < layout::kHypervisorEnd && end > layout::kHypervisorStart;
}
constexpr bool canonical(u64 va) { return va + (u64{1} << 47) < u64{1} << 48; }

// Everything that later code computes with is in order.
bool consistent(const KernelNotes& n, const ElfImage& image) {
    const u64 start = n.virtual_of(image.start()), end = n.virtual_of(image.end());
    const auto bad = [](const char* what, u64 value) {
        log(Level::error, "dom0: the kernel's {} {:#x} is impossible", what, value);
        return false;
    };
    if (n.virt_base % kPageSize != 0 || !canonical(n.virt_base)) return bad("virtual base", n.virt_base);
    if (n.paddr_offset % kPageSize != 0) return bad("offset of physical addresses", n.paddr_offset);
    if (end <= start || start < n.virt_base || start - n.virt_base > kGiB || !canonical(start) ||
        !canonical(end - 1))
        return bad("virtual address", start);
    if (in_hypervisor(n.virt_base, end)) return bad("place in the hypervisor's range,", start);
    if (n.entry < start || n.entry >= end) return bad("entry point", n.entry);
    if (n.hypercall_page &&
        (*n.hypercall_page % kPageSize != 0 || *n.hypercall_page < start || *n.hypercall_page >= end))
        return bad("hypercall page", *n.hypercall_page);
    if (n.init_p2m && (*n.init_p2m % kPageSize != 0 || !canonical(*n.init_p2m) ||
                       in_hypervisor(*n.init_p2m, *n.init_p2m + 1)))
        return bad("place for the list of its frames", *n.init_p2m);
    if (n.hv_start_low && *n.hv_start_low > layout::kHypervisorStart)
        return bad("lowest address of the hypervisor", *n.hv_start_low);
    return true;
}

}  // namespace

std::optional<u32> feature_number(Text name) {
    for (const Feature& f : kFeatures)
        if (f.name == name) return f.number;
    return std::nullopt;
}

Attempt<KernelNotes> read_kernel_notes(const ElfImage& image) {
    Reader r;
    for (u32 i = 0; i < image.program_headers(); i++) r.notes_in(image.note_segment(i));
    if (!r.any)
        for (u32 i = 0; i < image.sections(); i++) r.notes_in(image.note_section(i));
    if (!r.any) r.guest_section(image.section("__xen_guest"));
    if (!r.any) return refusal(kNoPv);
    if (!r.entry_given && !r.base_given && !r.notes.hypercall_page)
        return refusal(
            r.notes.phys32_entry
                ? "the kernel has a PVH entry only, and no Xen PV notes. Use a 64-bit Linux kernel with "
                  "CONFIG_XEN_PV and CONFIG_XEN_DOM0, such as Debian's."
                : kNoPv);
    if (!r.entry_given) r.notes.entry = image.entry();
    if (r.unknown_required != nullptr) return refusal(r.unknown_required);
    const KernelNotes& n = r.notes;
    if (!n.xen_version.empty() && !n.xen_version.starts_with("xen-3.0")) {
        log(Level::error, "dom0: the kernel is for interface '{}'", n.xen_version);
        return refusal(
            "the kernel is made for another version of the Xen interface than xen-3.0. Use another kernel.");
    }
    if ((n.required & bit(XENFEAT_auto_translated_physmap)) != 0 ||
        (n.required & bit(XENFEAT_supervisor_mode_kernel)) != 0)
        return refusal("the kernel requires features that a PV dom0 does not have. Use another kernel.");
    if (n.supported_given && (n.supported & bit(XENFEAT_dom0)) == 0)
        return refusal("the kernel cannot be dom0. Use a kernel with CONFIG_XEN_DOM0, such as Debian's.");
    if (!consistent(n, image)) return refusal(kBadNotes);
    return n;
}

}  // namespace domus
