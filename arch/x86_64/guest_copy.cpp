// SPDX-License-Identifier: GPL-2.0-or-later
// port/guest_memory.hpp: range checks around the raw copies.
#include "arch_state/layout.hpp"
#include "core/dirty_log.hpp"
#include "core/vcpu.hpp"
#include "port/context.hpp"
#include "port/guest_memory.hpp"

extern "C" {
domus::usize raw_copy(void* to, const void* from, domus::usize n);
domus::usize raw_copy8(void* to, const void* from);
domus::usize raw_clear(void* to, domus::usize n);
}

namespace domus::port {

namespace {
using core::MirrorTables;

// The whole range lies in one of the guest's halves. A non-canonical address in between faults (#GP) and is
// caught like a page fault.
bool guest_range(Vaddr va, usize size) {
    const u64 last = va.v + size - 1;
    return last >= va.v && layout::guest_may_access(va.v) && layout::guest_may_access(last) &&
           (va.v >> 63) == (last >> 63);
}

// `left` of the bytes from `va` on could not be reached. While the guest's tables are mirrored that may only
// mean that the mirror did not have them yet: then `copy(done)` goes on, and returns how many are left.
template <class Copy>
[[gnu::cold, gnu::noinline]] usize go_on(Vaddr va, usize size, usize left, bool write, Copy copy) {
    Vcpu* const v = current_vcpu();
    if (v == nullptr || !v->pv.mirrored) return left;
    constexpr unsigned kTries = 16;  // without getting on: others may empty the mirror meanwhile
    for (unsigned tries = 0; left != 0 && tries < kTries; tries++) {
        // The word that faulted may lie in two pages.
        const u64 first = va.v + (size - left), last = first + (left < sizeof(u64) ? left : sizeof(u64)) - 1;
        const MirrorTables::Access access{.write = write};
        if (core::mirror_fault(*v, Vaddr(first), access) != MirrorTables::Fault::resolved) return left;
        if (first / kPageSize != last / kPageSize)
            static_cast<void>(core::mirror_fault(*v, Vaddr(last), access));
        const usize before = left;
        left = copy(size - left);
        if (left != before) tries = 0;
    }
    return left;
}
}  // namespace

usize copy_from_guest(void* to, Vaddr from, usize size) {
    if (size == 0) return 0;
    if (!guest_range(from, size)) return size;
    const usize left = size == 8 ? raw_copy8(to, reinterpret_cast<const void*>(from.v))
                                 : raw_copy(to, reinterpret_cast<const void*>(from.v), size);
    if (left == 0) [[likely]]
        return 0;
    return go_on(from, size, left, false, [=](usize done) {
        return raw_copy(static_cast<u8*>(to) + done, reinterpret_cast<const void*>(from.v + done),
                        size - done);
    });
}

usize copy_to_guest(Vaddr to, const void* from, usize size) {
    if (size == 0) return 0;
    if (!guest_range(to, size)) return size;
    const usize left = size == 8 ? raw_copy8(reinterpret_cast<void*>(to.v), from)
                                 : raw_copy(reinterpret_cast<void*>(to.v), from, size);
    if (left == 0) [[likely]]
        return 0;
    return go_on(to, size, left, true, [=](usize done) {
        return raw_copy(reinterpret_cast<void*>(to.v + done), static_cast<const u8*>(from) + done,
                        size - done);
    });
}

usize clear_guest(Vaddr to, usize size) {
    if (size == 0) return 0;
    if (!guest_range(to, size)) return size;
    const usize left = raw_clear(reinterpret_cast<void*>(to.v), size);
    if (left == 0) [[likely]]
        return 0;
    return go_on(to, size, left, true,
                 [=](usize done) { return raw_clear(reinterpret_cast<void*>(to.v + done), size - done); });
}

}  // namespace domus::port
