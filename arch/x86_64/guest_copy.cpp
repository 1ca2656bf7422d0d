// SPDX-License-Identifier: GPL-2.0-or-later
// port/guest_memory.hpp: range checks around the raw copies.
#include "arch_state/layout.hpp"
#include "port/guest_memory.hpp"

extern "C" {
domus::usize raw_copy(void* to, const void* from, domus::usize n);
domus::usize raw_copy8(void* to, const void* from);
domus::usize raw_clear(void* to, domus::usize n);
}

namespace domus::port {

namespace {
// The whole range lies in one of the guest's halves. A non-canonical address in between faults (#GP) and is
// caught like a page fault.
bool guest_range(Vaddr va, usize size) {
    const u64 last = va.v + size - 1;
    return last >= va.v && layout::guest_may_access(va.v) && layout::guest_may_access(last) &&
           (va.v >> 63) == (last >> 63);
}
}  // namespace

usize copy_from_guest(void* to, Vaddr from, usize size) {
    if (size == 0) return 0;
    if (!guest_range(from, size)) return size;
    if (size == 8) return raw_copy8(to, reinterpret_cast<const void*>(from.v));
    return raw_copy(to, reinterpret_cast<const void*>(from.v), size);
}

usize copy_to_guest(Vaddr to, const void* from, usize size) {
    if (size == 0) return 0;
    if (!guest_range(to, size)) return size;
    if (size == 8) return raw_copy8(reinterpret_cast<void*>(to.v), from);
    return raw_copy(reinterpret_cast<void*>(to.v), from, size);
}

usize clear_guest(Vaddr to, usize size) {
    if (size == 0) return 0;
    if (!guest_range(to, size)) return size;
    return raw_clear(reinterpret_cast<void*>(to.v), size);
}

}  // namespace domus::port
