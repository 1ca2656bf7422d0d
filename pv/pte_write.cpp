// SPDX-License-Identifier: GPL-2.0-or-later
// Trapped writes to page tables: a guest's kernel stores to a level 1 table that it sees read-only, and the
// store is carried out as the page-table update that it means. The forms are those that compilers and atomic
// operations produce; any other is answered with the page fault.
#include <bit>

#include "core/vcpu.hpp"
#include "mm/frame.hpp"
#include "port/memory.hpp"
#include "pv/emulate.hpp"
#include "pv/instruction.hpp"
#include "pv/mmu.hpp"

namespace domus::pv {

namespace {

constexpr u64 kFlagZf = 1u << 6, kFlagSf = 1u << 7, kFlagPf = 1u << 2, kFlagOf = 1u << 11, kFlagAf = 1u << 4;

// What the instruction does to its memory operand.
enum class Op : u8 {
    store,
    exchange,
    compare_exchange,
    logic_and,
    logic_or,
    logic_xor,
    bit_set,
    bit_reset,
    bit_complement
};

struct Store {
    Op op = Op::store;
    unsigned bytes = 0;  // size of the operand
    u64 source = 0;      // value, mask, or bit number
    u64* reg = nullptr;  // receives the old value (exchange); for compare_exchange RAX does
};

u64 size_mask(unsigned bytes) { return bytes == 8 ? ~u64{0} : (u64{1} << (8 * bytes)) - 1; }

// Passes over ModRM's memory operand (AMD APM vol. 3, 1.4.2): where it is, the fault has said. False: a
// register operand or cut short.
bool skip_memory_operand(Code& code, u8 modrm) {
    const unsigned mod = modrm >> 6, rm = modrm & 7;
    if (mod == 3) return false;
    unsigned displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    if (rm == 4) {
        const std::optional<u8> sib = code.next();
        if (!sib) return false;
        if (mod == 0 && (*sib & 7) == 5) displacement = 4;
    } else if (mod == 0 && rm == 5) {
        displacement = 4;
    }
    return code.skip(displacement);
}

std::optional<Store> decode(Code& code, GuestRegs& regs) {
    Prefixes p;
    const std::optional<u8> first = read_opcode(code, p, true);
    if (!first) return std::nullopt;
    const bool two_byte = *first == 0x0f;
    const std::optional<u8> op = two_byte ? code.next() : first;
    if (!op) return std::nullopt;
    const unsigned wide = p.rex_w() ? 8 : p.operand16 ? 2 : 4;

    const std::optional<u8> modrm = code.next();
    if (!modrm || !skip_memory_operand(code, *modrm)) return std::nullopt;
    u64& reg = general_register(regs, ((*modrm >> 3) & 7u) | p.rex_r());
    Store s{.bytes = wide, .source = reg};
    if (two_byte) {
        switch (*op) {
            case 0xb1: s.op = Op::compare_exchange; return s;
            case 0xab: s.op = Op::bit_set; break;
            case 0xb3: s.op = Op::bit_reset; break;
            case 0xbb: s.op = Op::bit_complement; break;
            case 0xba: {
                const std::optional<u8> bit = code.next();
                const unsigned sub = (*modrm >> 3) & 7;
                if (!bit || sub < 5) return std::nullopt;
                s.op = sub == 5 ? Op::bit_set : sub == 6 ? Op::bit_reset : Op::bit_complement;
                s.source = *bit;
                break;
            }
            default: return std::nullopt;
        }
        // A bit number in a register may reach beyond the operand; that is another address than the one that
        // faulted.
        if (*op != 0xba && s.source >= 8 * wide) return std::nullopt;
        s.source &= 8 * wide - 1;
        return s;
    }
    switch (*op) {
        case 0x89: return s;
        case 0x87:
            s.op = Op::exchange;
            s.reg = &reg;
            return s;
        case 0x21: s.op = Op::logic_and; return s;
        case 0x09: s.op = Op::logic_or; return s;
        case 0x31: s.op = Op::logic_xor; return s;
        case 0xc7:
        case 0x81:
        case 0x83: {
            const std::optional<u64> value = code.immediate(*op == 0x83 ? 1 : wide == 2 ? 2 : 4);
            if (!value) return std::nullopt;
            s.source = *value;
            if (*op == 0xc7) return s;
            switch ((*modrm >> 3) & 7) {
                case 1: s.op = Op::logic_or; return s;
                case 4: s.op = Op::logic_and; return s;
                case 6: s.op = Op::logic_xor; return s;
                default: return std::nullopt;
            }
        }
        default: return std::nullopt;
    }
}

u64 apply(const Store& s, u64 old) {
    switch (s.op) {
        case Op::store:
        case Op::exchange:
        case Op::compare_exchange: return s.source;
        case Op::logic_and: return old & s.source;
        case Op::logic_or: return old | s.source;
        case Op::logic_xor: return old ^ s.source;
        case Op::bit_set: return old | u64{1} << s.source;
        case Op::bit_reset: return old & ~(u64{1} << s.source);
        case Op::bit_complement: return old ^ u64 { 1 } << s.source;
    }
    return old;
}

void set_flag(GuestRegs& r, u64 flag, bool on) { r.rflags = on ? r.rflags | flag : r.rflags & ~flag; }

void set_logic_flags(GuestRegs& r, u64 result, unsigned bytes) {
    r.rflags &= ~(kFlagCf | kFlagOf | kFlagAf);
    set_flag(r, kFlagZf, (result & size_mask(bytes)) == 0);
    set_flag(r, kFlagSf, ((result >> (8 * bytes - 1)) & 1) != 0);
    set_flag(r, kFlagPf, std::popcount(result & 0xff) % 2 == 0);
}

// Registers and flags after the operand `old` has become `now`.
void finish(GuestRegs& r, const Store& s, u64 old, u64 now, bool equal) {
    const auto assign = [&](u64& reg, u64 value) {
        reg = s.bytes == 4 ? value : (reg & ~size_mask(s.bytes)) | value;  // 4 bytes clear the upper half
    };
    switch (s.op) {
        case Op::store: break;
        case Op::exchange: assign(*s.reg, old); break;
        case Op::compare_exchange: {
            // CMP RAX, old
            const u64 mask = size_mask(s.bytes), a = r.rax & mask, difference = (a - old) & mask;
            set_logic_flags(r, difference, s.bytes);
            set_flag(r, kFlagCf, a < old);
            set_flag(r, kFlagAf, (a & 15) < (old & 15));
            set_flag(r, kFlagOf, (((a ^ old) & (a ^ difference)) >> (8 * s.bytes - 1) & 1) != 0);
            if (!equal) assign(r.rax, old);
            break;
        }
        case Op::logic_and:
        case Op::logic_or:
        case Op::logic_xor: set_logic_flags(r, now, s.bytes); break;
        case Op::bit_set:
        case Op::bit_reset:
        case Op::bit_complement: set_flag(r, kFlagCf, ((old >> s.source) & 1) != 0); break;
    }
}

}  // namespace

EmulateResult emulate_pte_write(Vcpu& v, GuestRegs& regs, Vaddr fault) {
    const Result<Leaf> leaf = walk_guest(v, fault);
    if (!leaf || leaf->entry.writable()) return {};
    Code code = fetch_code(regs.rip);
    const std::optional<Store> store = decode(code, regs);
    if (!store) return {};
    const unsigned shift = static_cast<unsigned>(fault.v % 8) * 8;
    if (shift + 8 * store->bytes > 64) return {};

    const Mfn table = leaf->entry.mfn();
    if (!frame_valid(table)) return {};  // device memory, mapped read-only
    const unsigned index = static_cast<unsigned>(page_offset(fault) / 8);
    const u64 mask = size_mask(store->bytes);
    if (store->op == Op::store && store->bytes == 8) {
        if (!write_pte(v, table, index, Pte(store->source))) return {};
    } else {
        // Against other CPUs, and against the CPU's own setting of accessed and dirty bits.
        constexpr unsigned kAttempts = 16;  // then let interrupts in, and start again
        for (unsigned attempt = 0;; attempt++) {
            if (attempt == kAttempts) return {.action = EmulateResult::Action::retry};
            const u64 whole = __atomic_load_n(&port::frame_ptr<u64>(table)[index], __ATOMIC_RELAXED);
            const u64 old = (whole >> shift) & mask;
            const bool equal = old == (regs.rax & mask);
            if (store->op == Op::compare_exchange && !equal) {
                finish(regs, *store, old, old, false);
                break;
            }
            const u64 now = apply(*store, old) & mask;
            const u64 replaced = (whole & ~(mask << shift)) | now << shift;
            const Result<Pte> seen = exchange_pte(v, table, index, Pte(whole), Pte(replaced));
            if (!seen) return {};
            if (seen->v != whole) continue;
            finish(regs, *store, old, now, true);
            break;
        }
    }
    regs.rip += code.at;
    return {.action = EmulateResult::Action::done};
}

}  // namespace domus::pv
