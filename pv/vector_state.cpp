// SPDX-License-Identifier: GPL-2.0-or-later
// What of a vCPU's vector state is in use, and installing a new one once it is checked.
#include "pv/vector_state.hpp"

#include <algorithm>
#include <cstring>

#include "port/cpuid.hpp"
#include "pv/cpuid.hpp"
#include "pv/xcr0.hpp"

namespace domus::pv {

namespace {

constexpr u32 kLegacyBytes = 512, kHeaderBytes = 64;
constexpr u64 kX87 = 1, kSse = 2;
constexpr u32 kMxcsrOffset = 24, kMxcsrMaskOffset = 28;

// The XSAVE header, behind the legacy area (Intel SDM vol. 1, 13.4.2).
struct Header {
    u64 present, compacted, reserved[6];
};
static_assert(sizeof(Header) == kHeaderBytes);

}  // namespace

u64 vector_components(const Vcpu& v) {
    const CpuidLeaf leaf = guest_cpuid(v, 0xd, 0);
    return u64{leaf.edx} << 32 | leaf.eax;
}

u32 vector_area_bytes(const Vcpu& v, u64 components) {
    u32 bytes = kLegacyBytes + kHeaderBytes;
    for (u32 i = 2; i < 63; i++) {
        if (((components >> i) & 1) == 0) continue;
        const CpuidLeaf part = guest_cpuid(v, 0xd, i);
        bytes = std::max(bytes, part.ebx + part.eax);
    }
    return bytes;
}

u64 vector_components_used(const Vcpu& v) {
    Header header{};
    if (v.pv.fpu_area != nullptr && v.pv.fpu_bytes >= kLegacyBytes + kHeaderBytes)
        std::memcpy(&header, v.pv.fpu_area + kLegacyBytes, sizeof header);
    return (v.pv.xcr0 | header.present | kX87 | kSse) & vector_components(v);
}

Result<> set_vector_area(Vcpu& v, u64 xcr0, u64 components, std::span<u8> area) {
    const u64 possible = vector_components(v);
    if ((components & ~possible) != 0 || (xcr0 & ~components) != 0 || !xcr0_consistent(xcr0) ||
        area.size() != vector_area_bytes(v, components) || v.pv.fpu_area == nullptr ||
        area.size() > v.pv.fpu_bytes)
        return fail(Error::inval);
    Header header;
    std::memcpy(&header, &area[kLegacyBytes], sizeof header);
    if ((header.present & ~components) != 0 || header.compacted != 0) return fail(Error::inval);
    for (const u64 word : header.reserved) {
        if (word != 0) return fail(Error::inval);
    }
    u32 mxcsr;
    std::memcpy(&mxcsr, &area[kMxcsrOffset], sizeof mxcsr);
    mxcsr &= kMxcsrMask;
    std::memcpy(&area[kMxcsrOffset], &mxcsr, sizeof mxcsr);
    std::memset(&area[kMxcsrMaskOffset], 0, sizeof mxcsr);

    // Components beyond those that came are in their initial state: the header says so.
    std::memcpy(v.pv.fpu_area, area.data(), area.size());
    v.pv.xcr0 = xcr0;
    return {};
}

}  // namespace domus::pv
