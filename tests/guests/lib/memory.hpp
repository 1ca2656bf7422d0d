// SPDX-License-Identifier: GPL-2.0-or-later
// A test kernel's memory: all of it mapped at kDirect, pages by their pseudo-physical number, tables
// read-only.
#pragma once

#include "abi/xen.hpp"
#include "arch_state/pte.hpp"
#include "base/types.hpp"

namespace guest {

using namespace domus;

inline constexpr u64 kDirect = 0xffff880000000000;
inline constexpr u64 kBootBase = 0xffffffff80000000;
inline constexpr u64 kRo = Pte::kPresent | Pte::kUser | Pte::kAccessed,
                     kRw = kRo | Pte::kWritable | Pte::kDirty;
inline constexpr u64 kMaxPages = 32768;  // 128 MiB; what the domain has beyond is left alone

void init_memory(const start_info_t& info);

u64 page_count();                 // pages known here
Mfn mfn_of(u64 pfn);              // pfn < page_count()
Mfn mfn_of(const void* pointer);  // into the boot region or kDirect
void set_mfn(u64 pfn, Mfn m);     // after an exchange
u64 pfn_of_machine(Mfn m);        // by the hypervisor's table; ~0 where there is none
void* boot_pointer(Mfn m);        // a page of the boot region that the toolstack made
template <class T = u8>
T* direct(u64 pfn) {
    return reinterpret_cast<T*>(kDirect + pfn * kPageSize);
}

// Pages that nothing uses: zeroed, mapped writable at kDirect.
u64 take_page();
u64 free_pages();
u64 first_free_pfn();  // pages below are the kernel's own

// The level 4 table of the running address space, and a copy of it with the same lower tables.
Mfn kernel_root();
u64 copy_root();  // pfn, mapped read-only, not pinned

// The entry of the level 1 table that maps va in the kernel's address space; null if there is no table.
const Pte* leaf_entry(u64 va);
Mfn leaf_table(u64 va);
s64 update_va(u64 va, Pte value, u64 flags = UVMF_INVLPG | UVMF_ALL);
s64 write_entry(Mfn table, u32 index, Pte value, u64 command = MMU_NORMAL_PT_UPDATE);
s64 extended(u32 command, u64 arg1, u64 arg2 = 0);
// Changes the mapping of a page at kDirect.
s64 protect(u64 pfn, bool writable);
// Links tables for one page at va, in fresh pages; the entry of level 1 is empty. False: the ABI refused.
bool make_tables(u64 va);

}  // namespace guest
