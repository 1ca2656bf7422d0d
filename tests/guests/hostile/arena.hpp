// SPDX-License-Identifier: GPL-2.0-or-later
// What the hostile guest plays with: pages it can lose, addresses whose tables it can break, and numbers
// drawn from both. Everything else is its own kernel, which it must not touch: it could not tell its own
// breakage from the hypervisor's.
#pragma once

#include <atomic>

#include "lib/cpu.hpp"
#include "lib/hypercall.hpp"
#include "lib/memory.hpp"
#include "lib/random.hpp"

namespace hostile {

using namespace guest;

// Virtual addresses of the arena: one level 3 table's worth, of which the first 64 MiB get level 1 tables.
inline constexpr u64 kArena = 0xffff900000000000;
inline constexpr u64 kArenaTables = 32;
inline constexpr u64 kArenaBytes = kArenaTables * kSuperpageSize;

inline constexpr u32 kPoolPages = 2048;

struct Pool {
    u64 first_pfn = 0;                 // kPoolPages pages, unmapped at kDirect
    std::atomic<u64> mfn[kPoolPages];  // machine frames, as far as we know; may be lost or exchanged
};
extern Pool pool;

// Everything above, on vCPU 0.
void make_arena();

// The arena's level 1 tables, and the entry there for an address of the arena.
Mfn arena_table(u32 index);
const Pte* arena_entry(u64 va);

// Is this frame part of what must not be touched?
bool essential(Mfn m);

// Frames: mostly of the pool, sometimes tables of the arena, other domains', the hypervisor's, devices',
// nonsense.
Mfn some_frame(Random& r);
// As some_frame, never an essential page.
Mfn expendable_frame(Random& r);
Pte some_entry(Random& r);
u64 some_arena_address(Random& r);
// For CS: a selector that is no code segment, of ours or of the tables that other calls have set at random. A
// 32-bit one would go on with half of our stack pointer.
u64 no_code_selector(Random& r);
// Where nothing is mapped, for what is executed in kernel mode: what lies in the arena would be code there.
u64 some_unmapped_address(Random& r);
// An address to hand to a hypercall: of the scratch pages, the arena, the hypervisor, nowhere.
u64 some_address(Random& r);
u64 some_domain(Random& r);

// Each vCPU's own scratch memory, filled with partly sensible rubbish. The lower half is for lists and
// structures as calls are prepared there, the upper half for whatever the hypervisor writes to addresses
// drawn at random: were they the same, a list could come to hold calls that we must not make.
inline constexpr u64 kScratchBytes = 32 * kKiB, kScratchHalf = kScratchBytes / 2;
u8* scratch();
void fill_scratch(Random& r);

// Patterns that must never change.
void plant_canaries();
u64 dead_canaries();

}  // namespace hostile
