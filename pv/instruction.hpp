// SPDX-License-Identifier: GPL-2.0-or-later
// Reading the instruction a guest has stopped at: its bytes, its prefixes, the registers it names (AMD APM
// vol. 3, chapter 1).
#pragma once

#include <optional>

#include "arch_state/regs.hpp"
#include "base/types.hpp"

namespace domus {
struct Vcpu;
}

namespace domus::pv {

inline constexpr usize kMaxInstruction = 15;

// The bytes at RIP, as far as they can be read.
struct Code {
    u8 bytes[kMaxInstruction];
    usize size = 0;
    usize at = 0;  // of the next byte; at the end: the instruction's length
    std::optional<u8> next() {
        if (at == size) return std::nullopt;
        return bytes[at++];
    }
    // A little-endian immediate of 1, 2 or 4 bytes, sign-extended.
    std::optional<u64> immediate(unsigned count);
    bool skip(usize count) { return at + count <= size ? (at += count, true) : false; }
};
Code fetch_code(u64 rip);

struct Prefixes {
    bool operand16 = false, address32 = false, repeat = false, lock = false;
    u8 rex = 0;
    bool rex_w() const { return (rex & 8) != 0; }
    u8 rex_r() const { return (rex & 4) != 0 ? 8 : 0; }
    u8 rex_b() const { return (rex & 1) != 0 ? 8 : 0; }
};
// Reads prefixes and the first opcode byte. Nothing: the bytes end, or there is a prefix (FS, GS) that no
// emulated instruction has.
std::optional<u8> read_opcode(Code& code, Prefixes& prefixes, bool long_mode);

// Does the guest's CS select a 64-bit code segment? In one of its own tables, or the ABI's flat segments.
bool in_long_mode(const Vcpu& v, const GuestRegs& regs);

// The general register with number n, 0 to 15.
u64& general_register(GuestRegs& regs, unsigned n);

}  // namespace domus::pv
