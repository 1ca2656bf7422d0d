// SPDX-License-Identifier: GPL-2.0-or-later
// The search in the table that the linker gathers from the code that may fault.
#include "arch/extable.hpp"

namespace domus::x86 {

namespace {
struct Entry {
    u64 at, landing;
};
}  // namespace

extern "C" const Entry extable_start[], extable_end[];

u64 fault_landing(u64 rip) {
    for (const Entry* e = extable_start; e < extable_end; e++)
        if (e->at == rip) return e->landing;
    return 0;
}

}  // namespace domus::x86
