// SPDX-License-Identifier: GPL-2.0-or-later
// How a guest of a given width passes hypercall arguments: which registers, and how many of them a type
// takes. A layout is a template parameter of decoding, so that 32-bit guests reuse every handler.
#pragma once

#include <array>

#include "abi/xen.hpp"
#include "arch_state/regs.hpp"
#include "base/types.hpp"

namespace domus::hypercall {

inline constexpr unsigned kMaxWords = 6;  // the sixth is obsolete in the public interface but still decoded

// The argument words of one call, as registers or as the entry of a multicall.
using Words = std::array<u64, kMaxWords>;

// 64-bit guests (public arch-x86/xen-x86_64.h): rdi, rsi, rdx, r10, r8, r9; number and result in rax.
struct Layout64 {
    using Long = u64;  // the ABI's unsigned long and guest pointers
    using MulticallEntry = multicall_entry_t;
    static constexpr unsigned kWordsOfU64 = 1;

    static Words words(const GuestRegs& r) { return {r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9}; }
    static void set_words(GuestRegs& r, const Words& w) {
        r.rdi = w[0], r.rsi = w[1], r.rdx = w[2], r.r10 = w[3], r.r8 = w[4], r.r9 = w[5];
    }
    static void set_result(GuestRegs& r, s64 value) { r.rax = static_cast<u64>(value); }
};

// 32-bit guests (public arch-x86/xen-x86_32.h): ebx, ecx, edx, esi, edi, ebp; a 64-bit argument takes two
// registers, low half first.
struct Layout32 {
    using Long = u32;
    struct MulticallEntry {
        u32 op;
        s32 result;
        u32 args[6];
    };
    static constexpr unsigned kWordsOfU64 = 2;

    static Words words(const GuestRegs& r) {
        return {static_cast<u32>(r.rbx), static_cast<u32>(r.rcx), static_cast<u32>(r.rdx),
                static_cast<u32>(r.rsi), static_cast<u32>(r.rdi), static_cast<u32>(r.rbp)};
    }
    static void set_words(GuestRegs& r, const Words& w) {
        r.rbx = static_cast<u32>(w[0]), r.rcx = static_cast<u32>(w[1]), r.rdx = static_cast<u32>(w[2]);
        r.rsi = static_cast<u32>(w[3]), r.rdi = static_cast<u32>(w[4]), r.rbp = static_cast<u32>(w[5]);
    }
    static void set_result(GuestRegs& r, s64 value) { r.rax = static_cast<u32>(value); }
};
static_assert(sizeof(Layout64::MulticallEntry) == 64 && sizeof(Layout32::MulticallEntry) == 32);

}  // namespace domus::hypercall
