// SPDX-License-Identifier: GPL-2.0-or-later
// Places in the code that are patched at boot where the CPU has a feature: the table that patch.inc makes.
#pragma once

#include <span>

#include "arch_state/offsets.hpp"
#include "base/types.hpp"

namespace domus {

struct CodePatch {
    u64 at;      // where, a virtual address
    u8 length;   // bytes of `code`
    u8 feature;  // PATCH_…
    u8 code[6];
};
static_assert(sizeof(CodePatch) == 16);

// Bit n of `features` says that the feature with PATCH number n is used. `writable` gives the bytes at an
// address. Returns how many places were changed.
template <class Writable>
u32 apply_patches(std::span<const CodePatch> patches, u32 features, Writable writable) {
    u32 applied = 0;
    for (const CodePatch& p : patches) {
        if ((features >> p.feature & 1) == 0 || p.length > sizeof p.code) continue;
        __builtin_memcpy(writable(p.at), p.code, p.length);
        applied++;
    }
    return applied;
}

}  // namespace domus
