// SPDX-License-Identifier: GPL-2.0-or-later
// Reading the widths of an APIC ID's fields from CPUID, of Intel's and of AMD's leaves.
#include "arch_devices/topology.hpp"

#include <algorithm>
#include <bit>

#include "port/cpuid.hpp"

namespace domus::x86 {

namespace {

constexpr u32 kMostBits = 31;

constexpr u32 bits_for(u32 count) { return count <= 1 ? 0 : static_cast<u32>(std::bit_width(count - 1)); }

// Extended topology (leaf 0xb): levels from the innermost on, each with the shift to the next one's number.
bool read_levels(ApicIdFields& f) {
    enum Level : u32 { kInvalid = 0, kThread = 1, kCore = 2 };
    if (port::cpuid(0, 0).eax < 0xb || (port::cpuid(0xb, 0).ebx & 0xffff) == 0) return false;
    for (u32 n = 0; n < 8; n++) {
        const CpuidLeaf leaf = port::cpuid(0xb, n);
        const u32 shift = leaf.eax & 31, level = leaf.ecx >> 8 & 0xff;
        if (level == kInvalid) break;
        if (level == kThread) f.core_at = shift;
        f.socket_at = std::max(f.socket_at, shift);
    }
    return true;
}

}  // namespace

ApicIdFields read_apic_id_fields() {
    constexpr u32 kAmd = 0x68747541, kHygon = 0x6f677948;  // "Auth", "Hygo"
    ApicIdFields f;
    const CpuidLeaf vendor = port::cpuid(0, 0);
    const CpuidLeaf one = port::cpuid(1, 0);
    const bool hyperthreading = (one.edx >> 28 & 1) != 0;
    const u32 logical = hyperthreading ? std::max(1u, one.ebx >> 16 & 0xff) : 1;
    const u32 last_extended = port::cpuid(0x80000000, 0).eax;
    if (vendor.ebx == kAmd || vendor.ebx == kHygon) {
        if (last_extended >= 0x80000008) {
            const u32 ecx = port::cpuid(0x80000008, 0).ecx;
            const u32 size = ecx >> 12 & 15;
            f.socket_at = size != 0 ? size : bits_for((ecx & 0xff) + 1);
        }
        const bool extensions = (port::cpuid(0x80000001, 0).ecx >> 22 & 1) != 0;
        if (extensions && last_extended >= 0x8000001e)
            f.threads_per_core = (port::cpuid(0x8000001e, 0).ebx >> 8 & 0xff) + 1;
        return f;
    }
    if (!read_levels(f)) {
        f.socket_at = bits_for(logical);
        const u32 cores = vendor.eax >= 4 ? (port::cpuid(4, 0).eax >> 26) + 1 : 1;
        f.core_at = f.socket_at - std::min(f.socket_at, bits_for(cores));
    }
    f.socket_at = std::min(std::max(f.socket_at, f.core_at), kMostBits);
    return f;
}

CpuTopology decode_apic_id(u32 apic_id, const ApicIdFields& f) {
    const u32 inside = apic_id & ((1u << f.socket_at) - 1);
    CpuTopology t;
    t.socket = apic_id >> f.socket_at;
    t.core = (inside >> f.core_at) / f.threads_per_core;
    t.thread = (inside & ((1u << f.core_at) - 1)) + (inside >> f.core_at) % f.threads_per_core;
    return t;
}

}  // namespace domus::x86
