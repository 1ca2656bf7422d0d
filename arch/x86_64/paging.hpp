// SPDX-License-Identifier: GPL-2.0-or-later
// The hypervisor's own page tables: what is mapped where in the ABI's slots 256 to 271
// (arch_state/layout.hpp). The sixteen L3 tables exist from boot on and every L4 (the idle one and each
// guest's) points at the same ones, so that a mapping made once is seen in all address spaces.
#pragma once

#include "arch_state/pte.hpp"
#include "base/result.hpp"
#include "base/types.hpp"

namespace domus::x86 {

inline constexpr u64 kHvFlags =
    Pte::kPresent | Pte::kWritable | Pte::kAccessed | Pte::kDirty | Pte::kGlobal | Pte::kNoExecute;
inline constexpr u64 kHvReadOnly = kHvFlags & ~Pte::kWritable;
inline constexpr u64 kHvExecute = kHvReadOnly & ~Pte::kNoExecute;
inline constexpr u64 kHvDevice = kHvFlags | Pte::kCacheDisable | Pte::kWriteThrough;

// Where page tables (one zeroed frame) and metadata blocks (2 MiB, aligned, not zeroed) come from: the boot
// allocator first, the heap once it is up. Both return kNoMfn when there is no memory.
struct PageSource {
    Mfn (*table)() = nullptr;
    Mfn (*block)() = nullptr;
};
void set_page_source(PageSource source);

// Builds the sixteen L3 tables and the idle L4, with the image mapped W^X. Memory is added by map_direct()
// before load_idle_root() leaves the boot tables.
void build_page_tables();
void load_idle_root();

// One page; kNoMfn unmaps. The caller flushes.
Result<> map_page(u64 va, Mfn frame, u64 flags);
// The L1 entry that maps va; null if there is no L1 table.
Pte* find_pte(u64 va);
// Adds a range of machine memory to the direct map. ENOMEM.
Result<> map_direct(Maddr ma, u64 size);

// The root of the idle address space.
Maddr idle_root();

}  // namespace domus::x86
