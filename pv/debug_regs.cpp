// SPDX-License-Identifier: GPL-2.0-or-later
// Debug registers.
#include "pv/debug_regs.hpp"

#include "pv/address.hpp"

namespace domus::pv {

namespace {

constexpr u64 kDr6Fixed = 0xffff0ff0, kDr6Writable = 0xe00f;  // BT, BS, BD, B3 to B0
constexpr u64 kDr7Fixed = 0x400, kDr7GeneralDetect = 1u << 13, kDr7Reserved = 0xd800;
constexpr u64 kCr4Debugging = 1u << 3;  // CR4.DE

// 4 and 5 are other names of 6 and 7 unless CR4.DE makes them undefined.
Result<u32> resolve(const PvVcpu& pv, u32 reg) {
    if (reg > 7) return fail(Error::inval);
    if (reg == 4 || reg == 5) {
        if ((pv.cr4 & kCr4Debugging) != 0) return fail(Error::inval);
        return reg + 2;
    }
    return reg;
}

Result<u64> check_control(const PvVcpu& pv, u64 value) {
    if (value >> 32 != 0) return fail(Error::inval);
    // General detection would trap the hypervisor's own accesses.
    if ((value & kDr7GeneralDetect) != 0) return fail(Error::perm);
    for (unsigned i = 0; i < 4; i++) {
        const u64 kind = value >> (16 + 4 * i) & 3;    // R/Wn
        const u64 length = value >> (18 + 4 * i) & 3;  // LENn
        if (kind == 2 && (pv.cr4 & kCr4Debugging) == 0) return fail(Error::perm);
        // Instruction breakpoints have length 1 (encoded 0).
        if (kind == 0 && length != 0) return fail(Error::perm);
    }
    return (value & ~kDr7Reserved) | kDr7Fixed;
}

}  // namespace

Result<> set_debug_reg(PvVcpu& pv, u32 reg, u64 value) {
    if (reg > 7) return fail(Error::nodev);
    reg = TRY(resolve(pv, reg));
    switch (reg) {
        case 6:
            if (value >> 32 != 0) return fail(Error::inval);
            pv.debug_regs[6] = (value & kDr6Writable) | kDr6Fixed;
            break;
        case 7: pv.debug_regs[7] = TRY(check_control(pv, value)); break;
        default:
            if (!guest_address(value)) return fail(Error::perm);
            pv.debug_regs[reg] = value;
            break;
    }
    return {};
}

Result<u64> get_debug_reg(const PvVcpu& pv, u32 reg) { return pv.debug_regs[TRY(resolve(pv, reg))]; }

}  // namespace domus::pv
