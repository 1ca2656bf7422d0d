// SPDX-License-Identifier: GPL-2.0-or-later
// From the firmware's memory map to a heap: the hypervisor's page tables, the frame table and M2P for the
// memory there is, and the rest free.
#include <algorithm>

#include "arch/paging.hpp"
#include "arch_state/layout.hpp"
#include "base/log.hpp"
#include "boot/kernel_image.hpp"
#include "boot/memory.hpp"
#include "boot/start.hpp"
#include "mm/frame.hpp"
#include "mm/frame_refs.hpp"
#include "mm/heap.hpp"
#include "port/memory.hpp"

extern "C" const char image_start[], image_end[];

namespace domus::boot {

namespace {

constexpr u64 kImagePhysical = 0x200000;  // arch/x86_64/domus.lds
constexpr u64 kBootMapped = 4 * kGiB;     // what boot.S maps

constinit FreeRanges free_ranges;
constinit bool heap_ready = false;
constinit ByteRange area;  // unpacking_area()

// Metadata has one entry for each frame that the direct map can reach.
u64 memory_limit() {
    return std::min(layout::kDirectMapEnd - layout::kDirectMap, u64{kMaxFrames} * kPageSize);
}

Mfn early_take(u64 size) {
    const Result<Maddr> at = free_ranges.take(size, size, kBootMapped);
    return at ? mfn(*at) : kNoMfn;
}

Mfn take_table() {
    const Mfn m = heap_ready ? alloc_frames(0).value_or(kNoMfn) : early_take(kPageSize);
    if (m != kNoMfn) __builtin_memset(port::frame_ptr(m), 0, kPageSize);
    return m;
}

Mfn take_block() {
    return heap_ready ? alloc_frames(kSuperpageShift - kPageShift).value_or(kNoMfn)
                      : early_take(kSuperpageSize);
}

void must(const Result<>& r, const char* what) {
    if (!r) refuse("{} failed ({}). Give the machine more memory.", what, r.error());
}

void map_memory() {
    for (const MemoryRegion& region : boot_info.memory.regions()) {
        // Device memory must not be mapped as ordinary memory; tables that firmware keeps in reserved regions
        // are mapped when they are looked at.
        if (region.type == MemoryType::reserved || region.type == MemoryType::unusable) continue;
        if (region.start >= memory_limit()) continue;
        must(x86::map_direct(Maddr(region.start), std::min(region.end, memory_limit()) - region.start),
             "Mapping memory");
    }
}

// The size of the first module's kernel when unpacked, bytes; 0 if it is not packed, or no kernel.
u64 unpacked_size() {
    if (boot_info.module_count == 0) return 0;
    const BootModule& m = boot_info.module_table[0];
    if (m.end.v > kBootMapped) return 0;
    const auto payload = find_kernel({static_cast<const std::byte*>(port::direct_map(m.start)), m.size()});
    return payload && payload->packing != Compression::none ? payload->unpacked_size : 0;
}

// What unpacking the first module takes: the kernel, and the decoder's working memory behind it. A heap's
// blocks are powers of two, which on a small machine are too coarse for it.
void take_unpacking_area(u64 unpacked) {
    if (unpacked == 0) return;
    const u64 size = round_up(unpacked, kPageSize) + kUnpackScratch;
    if (const Result<Maddr> at = free_ranges.take(size, kPageSize, memory_limit()); at)
        area = {at->v, at->v + size};
}

void announce(const MachineSize& size) {
    for (const MemoryRegion& region : boot_info.memory.regions())
        log(Level::info, "memory {:012x} - {:012x} {}", region.start, region.end - 1,
            memory_type_name(region.type));
    log(Level::info, "{} MiB of usable memory", size.usable / kMiB);
    if (size.beyond_map != 0)
        log(Level::warning, "{} MiB lie beyond what Domus can address and are not used",
            size.beyond_map / kMiB);
}

}  // namespace

const void* view_memory(Maddr at, u64 size) {
    return x86::map_direct(at, size) ? port::direct_map(at) : nullptr;
}

ByteRange unpacking_area() { return area; }

void give_to_heap(ByteRange range) {
    if (range.size() != 0) heap_add(mfn(Maddr(range.start)), range.size() >> kPageShift);
}

Maddr image_address(const void* p) {
    return Maddr(kImagePhysical + static_cast<u64>(static_cast<const char*>(p) - image_start));
}

void start_memory() {
    if (const Result<> r = boot_info.memory.sanitise(); !r)
        refuse("the firmware's memory map has too many entries. Update the firmware.");
    const MachineSize size = machine_size(boot_info.memory, memory_limit());
    announce(size);
    const u64 unpacked = unpacked_size();
    const auto module_size = [](u32 n) {
        return n < boot_info.module_count ? boot_info.module_table[n].size() : 0;
    };
    const MemoryNeed need = memory_need(boot_info.memory, static_cast<u64>(image_end - image_start),
                                        module_size(0), module_size(1), unpacked, kUnpackScratch);
    if (size.usable < need.total())
        refuse(
            "the machine has {} MiB of usable memory; this kernel and initial ramdisk need at least {} MiB, "
            "of "
            "which Domus keeps {}. Give the machine {} MiB or more.",
            size.usable / kMiB, need.total() / kMiB + 1, need.hypervisor / kMiB + 1, need.total() / kMiB + 2);

    free_ranges.assign(boot_info.memory, memory_limit());
    const auto reserve = [](u64 from, u64 to) {
        must(free_ranges.reserve(from, to), "Reserving boot memory");
    };
    reserve(0, kMiB);  // firmware data, and the start-up code of the other CPUs
    reserve(kImagePhysical, kImagePhysical + static_cast<u64>(image_end - image_start));
    for (const BootModule& module : boot_info.modules()) reserve(module.start.v, module.end.v);

    take_unpacking_area(unpacked);

    x86::set_page_source({take_table, take_block});
    x86::build_page_tables();
    map_memory();
    x86::load_idle_root();

    // Frames of modules and of the image have metadata too: they become dom0's, or stay ours.
    for (const MemoryRegion& region : boot_info.memory.regions()) {
        if (region.type != MemoryType::usable || region.start >= memory_limit()) continue;
        const Mfn first = mfn(Maddr(round_up(region.start, kPageSize)));
        const Mfn end = mfn(Maddr(std::min(region.end, memory_limit())));
        if (end.v <= first.v) continue;
        must(port::populate_metadata(first, end - first), "Allocating the frame table");
        ram_add(first, end - first);
    }
    for (const ByteRange& range : free_ranges.ranges())
        heap_add(mfn(Maddr(range.start)), range.size() / kPageSize);
    heap_ready = true;
    // Tools read the machine-to-physical table as DOMID_XEN's (XENMEM_machphys_mfn_list, …_compat_mfn_list).
    for (u64 gib = 0; gib * kGiB < std::min(size.end, memory_limit()); gib++) {
        for (const Mfn block : {port::m2p_block(gib), gib % 2 == 0 ? port::m2p32_block(gib / 2) : kNoMfn}) {
            if (block == kNoMfn) continue;
            for (u64 i = 0; i < kSuperpageSize / kPageSize; i++) assign_read_only(block + i, kOwnerXen);
        }
    }
    log(Level::info, "heap: {} MiB free", heap_free_frames() * kPageSize / kMiB);
}

}  // namespace domus::boot
