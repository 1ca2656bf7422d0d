// SPDX-License-Identifier: GPL-2.0-or-later
// The language's nouns: fixed-width integers and strong integer types for addresses, frames and identifiers.
// A machine frame is not a guest frame is not an address; conversions are spelled out.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace domus {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
using usize = std::size_t;

inline constexpr unsigned kPageShift = 12;
inline constexpr u64 kPageSize = u64{1} << kPageShift;
inline constexpr u64 kPageMask = ~(kPageSize - 1);
inline constexpr u64 kSuperpageShift = 21;
inline constexpr u64 kSuperpageSize = u64{1} << kSuperpageShift;
inline constexpr u64 kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB, kTiB = 1024 * kGiB;

constexpr u64 round_up(u64 v, u64 align) { return (v + align - 1) & ~(align - 1); }
constexpr u64 round_down(u64 v, u64 align) { return v & ~(align - 1); }

// An integer with a meaning. Tag makes the types distinct; arithmetic is limited to what makes sense for an
// index or an address: adding and subtracting a plain count, and the distance of two values.
template <class Tag, class Rep>
struct Strong {
    using rep = Rep;
    Rep v{};

    constexpr Strong() = default;
    constexpr explicit Strong(Rep value) : v(value) {}

    constexpr Rep raw() const { return v; }
    constexpr auto operator<=>(const Strong&) const = default;

    constexpr Strong operator+(Rep n) const { return Strong(static_cast<Rep>(v + n)); }
    constexpr Strong operator-(Rep n) const { return Strong(static_cast<Rep>(v - n)); }
    constexpr Rep operator-(Strong o) const { return static_cast<Rep>(v - o.v); }
    constexpr Strong& operator+=(Rep n) { return v = static_cast<Rep>(v + n), *this; }
    constexpr Strong& operator-=(Rep n) { return v = static_cast<Rep>(v - n), *this; }
    constexpr Strong& operator++() { return ++v, *this; }
};

using Mfn = Strong<struct MfnTag, u64>;      // machine frame number
using Gfn = Strong<struct GfnTag, u64>;      // guest (pseudo-physical) frame number, a PV guest's pfn
using Maddr = Strong<struct MaddrTag, u64>;  // machine address, bytes
using Vaddr = Strong<struct VaddrTag, u64>;  // virtual address, in whichever space the context names

using DomId = Strong<struct DomIdTag, u16>;  // the ABI's domid_t
using VcpuId = Strong<struct VcpuIdTag, u32>;
using CpuId = Strong<struct CpuIdTag, u32>;  // physical CPU, dense from 0
using EvtPort = Strong<struct EvtPortTag, u32>;
using Pirq = Strong<struct PirqTag, u32>;  // a domain's interrupt number
using Gsi = Strong<struct GsiTag, u32>;    // global system interrupt, ACPI's number of an I/O APIC pin

inline constexpr Mfn kNoMfn{~u64{0}};

constexpr Maddr maddr(Mfn m) { return Maddr(m.v << kPageShift); }
constexpr Mfn mfn(Maddr a) { return Mfn(a.v >> kPageShift); }
constexpr u64 page_offset(Vaddr a) { return a.v & ~kPageMask; }
constexpr u64 page_offset(Maddr a) { return a.v & ~kPageMask; }

// Nanoseconds since the hypervisor's clock started.
using Nanos = s64;
inline constexpr Nanos kMicrosecond = 1'000, kMillisecond = 1'000'000, kSecond = 1'000'000'000;

}  // namespace domus
