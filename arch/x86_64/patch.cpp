// SPDX-License-Identifier: GPL-2.0-or-later
// The places that entry code and copies have marked for patching: section .patches (arch_state/patch.hpp).
#include "arch/patch.hpp"

#include "arch/features.hpp"
#include "arch/insn.hpp"
#include "arch_state/patch.hpp"

extern "C" const domus::CodePatch patches_start[], patches_end[];

namespace domus::x86 {

void patch_code() {
    const u32 used = features.smap ? 1u << PATCH_SMAP : 0;
    apply_patches({patches_start, patches_end}, used, [](u64 at) { return reinterpret_cast<u8*>(at); });
    (void)cpuid(0);  // serialises: what was fetched before is fetched anew (Intel SDM vol. 3, 8.1.3)
}

}  // namespace domus::x86
