// SPDX-License-Identifier: GPL-2.0-or-later
// Building a PV dom0 in memory: frames, list of frames and M2P, kernel, start_info, page tables. What it does
// not do: page types. The tables come out as a guest would hand them in, with empty hypervisor slots, and are
// validated by the same code as a guest's when the first vCPU gets them.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "base/types.hpp"
#include "boot/boot_info.hpp"
#include "boot/dom0_layout.hpp"
#include "boot/kernel_image.hpp"
#include "boot/kernel_notes.hpp"

namespace domus {

// Where dom0's frames come from. All of them belong to dom0 afterwards.
class Dom0Frames {
  public:
    // 2^order frames, naturally aligned. ENOMEM: none of this order.
    virtual Result<Mfn> allocate(unsigned order) = 0;
    // Makes frames that hold a boot module dom0's. Any error: they cannot be.
    virtual Result<> adopt(Mfn first, u64 count) = 0;
    virtual unsigned max_order() const = 0;
    // The kernel's file has been read for the last time: its memory may serve the allocations that follow.
    virtual void image_loaded() {}

  protected:
    ~Dom0Frames() = default;
};

struct Dom0Request {
    const ElfImage* image = nullptr;
    const KernelNotes* notes = nullptr;
    const Dom0Layout* layout = nullptr;
    // The initial ramdisk in machine memory; empty if there is none. If its start is page-aligned and nothing
    // else shares its last page, its frames become dom0's.
    Maddr initrd{};
    u64 initrd_bytes = 0;
    bool initrd_in_place = false;

    std::string_view command_line, extra;  // of the kernel; `extra` is appended
    Maddr shared_info{};
    VideoMode video;
    bool efi = false;
    void (*fill_hypercall_page)(void* page) = nullptr;
};

// Runs of frames with consecutive pfns and mfns.
class Extents {
  public:
    static constexpr u32 kCapacity = 256;
    bool add(Gfn pfn, Mfn first, u64 count);
    Mfn mfn(Gfn pfn) const;  // kNoMfn if none has it

  private:
    struct Run {
        Gfn pfn;
        Mfn first;
        u64 count;
    };
    std::array<Run, kCapacity> runs_{};
    u32 count_ = 0;
};

struct Dom0Start {
    Mfn table = kNoMfn;                        // level 4
    u64 entry = 0, stack = 0, start_info = 0;  // virtual addresses; stack: its end
    bool initrd_taken = false;                 // its frames are dom0's now
};

// Builds it. On a refusal, frames that were taken stay dom0's: the machine does not start then. One at a
// time.
Attempt<Dom0Start> build_dom0(const Dom0Request& request, Dom0Frames& frames);

// The layout, as lines of the log.
void log_dom0_layout(const Dom0Layout& layout);

}  // namespace domus
