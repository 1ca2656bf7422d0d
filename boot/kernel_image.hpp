// SPDX-License-Identifier: GPL-2.0-or-later
// Finding the kernel in a boot module: a Linux bzImage, an ELF image, or a gzipped ELF image. The module may
// be anything: nothing outside of the given bytes is ever read.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "base/types.hpp"
#include "boot/refusal.hpp"
#include "boot/unpack.hpp"

namespace domus {

struct KernelPayload {
    std::span<const std::byte> bytes;  // an ELF image, packed unless `packing` is none
    Compression packing = Compression::none;
    u64 unpacked_size = 0;  // bytes, as the file claims; not trustworthy
};

Attempt<KernelPayload> find_kernel(std::span<const std::byte> module);

// A checked ELF-64 image for x86-64: every range in it lies inside of the file.
class ElfImage {
  public:
    struct Segment {
        std::span<const std::byte> bytes;  // of the file
        u64 physical = 0;                  // pseudo-physical address as the file has it (paddr)
        u64 size = 0;                      // in memory, at least bytes.size(); the rest is zero
    };

    static Attempt<ElfImage> parse(std::span<const std::byte> file);

    // What is to be loaded.
    u32 program_headers() const { return header_count_; }
    std::optional<Segment> load_segment(u32 index) const;      // empty if header `index` is none
    std::span<const std::byte> note_segment(u32 index) const;  // empty if header `index` is none

    // The contents of the n-th section if it holds notes, and of the section of that name; empty if there is
    // none.
    u32 sections() const { return section_count_; }
    std::span<const std::byte> note_section(u32 index) const;
    std::span<const std::byte> section(const char* name) const;

    // The page-aligned range of paddr that the segments cover.
    u64 start() const { return start_; }
    u64 end() const { return end_; }
    u64 entry() const { return entry_; }

  private:
    std::span<const std::byte> file_;
    u64 headers_at_ = 0, sections_at_ = 0;
    u32 header_count_ = 0, section_count_ = 0, names_section_ = 0;
    u64 start_ = 0, end_ = 0, entry_ = 0;
};

}  // namespace domus
