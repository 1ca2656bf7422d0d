// SPDX-License-Identifier: GPL-2.0-or-later
// Reading the hand-over of a Multiboot 1 loader (QEMU's -kernel, GRUB's multiboot) or a Multiboot 2 loader.
#pragma once

#include "base/result.hpp"
#include "boot/boot_info.hpp"

namespace domus {

// How to look at machine memory: returns `size` readable bytes at `address`, or null where there is no
// memory.
struct PhysReader {
    const void* (*view)(void* context, Maddr address, u64 size);
    void* context = nullptr;
    const void* at(u64 address, u64 size) const { return view(context, Maddr(address), size); }
};

// Fills `out` from the structures at `info`; `magic` is what the loader left in EAX. Input that makes no
// sense is left out with a line in the log: a broken module or map entry does not spoil the rest. Errors:
// EINVAL when `magic` is no Multiboot loader's, EFAULT when the information itself cannot be read.
Result<> read_multiboot(u32 magic, Maddr info, const PhysReader& memory, BootInfo& out);

}  // namespace domus
