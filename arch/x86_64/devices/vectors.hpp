// SPDX-License-Identifier: GPL-2.0-or-later
// What each interrupt vector is for, and which CPU's vector belongs to which line.
#pragma once

#include <atomic>

#include "base/types.hpp"

namespace domus::x86 {

// 0x00-0x1f exceptions; 0x20-0x2f the masked 8259s' spurious requests; 0x30-0xdf devices, given out per CPU,
// without 0x80, which guests' programs raise by INT, and 0x82, which 32-bit guests' kernels do; above that
// the hypervisor's own. A higher vector is served first.
inline constexpr u8 kVectorPic = 0x20, kVectorPicLast = 0x2f;
inline constexpr u8 kVectorDeviceFirst = 0x30, kVectorDeviceLast = 0xdf;
inline constexpr u8 kVectorInt80 = 0x80, kVectorHypercall32 = 0x82;
inline constexpr u8 kVectorKick = 0xfb;   // look at your work word, current vCPU and TLB requests
inline constexpr u8 kVectorTimer = 0xfd;  // local APIC timer
inline constexpr u8 kVectorApicError = 0xfe;
inline constexpr u8 kVectorSpurious = 0xff;  // no EOI

inline constexpr u32 kNoLine = ~u32{0};
// No line any more: what was on its way when the line left may still arrive, and is no error.
inline constexpr u32 kLineLeft = kNoLine - 1;

// The device vectors of one CPU.
struct VectorMap {
    std::atomic<u32> line[256];
    u8 next = kVectorDeviceFirst;

    VectorMap() {
        for (auto& l : line) l.store(kNoLine, std::memory_order_relaxed);
    }
    static constexpr bool usable(u32 v) {
        return v >= kVectorDeviceFirst && v <= kVectorDeviceLast && v != kVectorInt80 &&
               v != kVectorHypercall32;
    }
    bool free_run(u32 first, u32 count) const {
        for (u32 v = first; v < first + count; v++)
            if (!usable(v) || line[v].load(std::memory_order_relaxed) < kLineLeft) return false;
        return true;
    }
    // A free run of `count` (a power of two) vectors aligned to it, or 0. Successive calls go through the
    // priority classes (16 vectors each), so that devices do not crowd in one.
    u8 find(u32 count) {
        constexpr u32 kSpan = kVectorDeviceLast + 1 - kVectorDeviceFirst;
        u32 v = next;
        for (u32 tries = 0; tries < kSpan; tries++) {
            const u32 here = v & ~(count - 1);
            v = v + 16 > kVectorDeviceLast ? kVectorDeviceFirst + (v + 1) % 16 : v + 16;
            if (free_run(here, count)) {
                next = static_cast<u8>(v);
                return static_cast<u8>(here);
            }
        }
        return 0;
    }
};

}  // namespace domus::x86
