// SPDX-License-Identifier: GPL-2.0-or-later
// Fetching and decoding, no more than the operations that are emulated need.
#include "pv/instruction.hpp"

#include "abi/xen.hpp"
#include "core/vcpu.hpp"
#include "port/guest_memory.hpp"
#include "port/memory.hpp"

namespace domus::pv {

Code fetch_code(u64 rip) {
    Code code;
    // Up to the end of the page first: the next one may not be there and not be needed.
    const usize here = kPageSize - (rip & ~kPageMask);
    const usize first = here < kMaxInstruction ? here : kMaxInstruction;
    if (port::copy_from_guest(code.bytes, Vaddr(rip), first) != 0) return code;
    code.size = first;
    if (first < kMaxInstruction &&
        port::copy_from_guest(code.bytes + first, Vaddr(rip + first), kMaxInstruction - first) == 0)
        code.size = kMaxInstruction;
    return code;
}

std::optional<u64> Code::immediate(unsigned count) {
    if (count == 0 || at + count > size) return std::nullopt;
    u64 value = 0;
    for (unsigned i = count; i-- > 0;) value = value << 8 | bytes[at + i];
    at += count;
    const unsigned shift = 64 - 8 * count;
    return static_cast<u64>(static_cast<s64>(value << shift) >> shift);
}

std::optional<u8> read_opcode(Code& code, Prefixes& p, bool long_mode) {
    for (;;) {
        const std::optional<u8> b = code.next();
        if (!b) return std::nullopt;
        if (long_mode && (*b & 0xf0) == 0x40) {
            p.rex = *b;
            continue;
        }
        switch (*b) {
            case 0x66: p.operand16 = true; break;
            case 0x67: p.address32 = true; break;
            case 0xf0: p.lock = true; break;
            case 0xf2:
            case 0xf3: p.repeat = true; break;
            case 0x26:
            case 0x2e:
            case 0x36:
            case 0x3e: break;  // ignored in 64-bit mode
            case 0x64:
            case 0x65: return std::nullopt;
            default: return b;
        }
        p.rex = 0;  // REX counts only right before the opcode
    }
}

bool in_long_mode(const Vcpu& v, const GuestRegs& regs) {
    if (regs.cs == FLAT_RING3_CS64) return true;
    constexpr u64 kLong = u64{1} << 53;  // the L bit of a code descriptor (AMD APM vol. 2, 4.8.1)
    const u32 index = static_cast<u32>(regs.cs & 0xffff) / 8;
    if ((regs.cs & 4) != 0 || index >= v.pv.gdt_entries) return false;
    // The frame is a descriptor page for as long as the vCPU holds it: the guest changes it only through the
    // hypervisor.
    const u64* page = port::frame_ptr<u64>(v.pv.gdt_frames[index / 512]);
    return (__atomic_load_n(&page[index % 512], __ATOMIC_RELAXED) & kLong) != 0;
}

u64& general_register(GuestRegs& r, unsigned n) {
    using R = GuestRegs;
    static constexpr u64 R::* kRegisters[16] = {&R::rax, &R::rcx, &R::rdx, &R::rbx, &R::rsp, &R::rbp,
                                                &R::rsi, &R::rdi, &R::r8,  &R::r9,  &R::r10, &R::r11,
                                                &R::r12, &R::r13, &R::r14, &R::r15};
    return r.*kRegisters[n & 15];
}

}  // namespace domus::pv
