// SPDX-License-Identifier: GPL-2.0-or-later
// Writes of a guest's kernel to its level 1 page tables, which it sees read-only
// (VMASST_TYPE_writable_pagetables): the instruction is decoded, its result computed, and the entry written
// by the same path as mmu_update.
//
// The operand's address is the fault's: the forms below have one memory operand, and it is what they write.
// So decoding needs the instruction's length, width, and register or immediate (AMD APM vol. 3, ch. 1 and 3).
#include "pv/emulate.hpp"

#include "abi/xen.hpp"
#include "core/domain.hpp"
#include "pv/instruction.hpp"
#include "pv/mmu.hpp"
#include "pv/mmu_rules.hpp"

namespace domus::pv {

namespace {

enum class Kind : u8 {
    none,
    store,
    exchange,
    compare_exchange,
    compare_exchange_8b,
    exchange_add,
    add,
    logic_or,
    logic_and,
    subtract,
    logic_xor,
    bit_set,
    bit_reset,
    bit_complement,
};

struct Operation {
    Kind kind = Kind::none;
    unsigned bytes = 8;
    u64 source = 0;          // register or immediate, as wide as the operation
    u64* reg = nullptr;      // the register, for forms that also write it
    bool high_byte = false;  // … its bits 15 to 8
    usize length = 0;
};

constexpr u64 mask_of(unsigned bytes) { return bytes == 8 ? ~u64{0} : (u64{1} << (bytes * 8)) - 1; }

// ADD, OR, AND, SUB, XOR by the three bits that name them in opcodes 00 to 3f and 80 to 83.
constexpr Kind arithmetic(unsigned n) {
    switch (n) {
        case 0: return Kind::add;
        case 1: return Kind::logic_or;
        case 4: return Kind::logic_and;
        case 5: return Kind::subtract;
        case 6: return Kind::logic_xor;
        default: return Kind::none;
    }
}

class Decoder {
  public:
    Decoder(const Vcpu& v, GuestRegs& regs)
        : r_(regs),
          code_(fetch_code(regs.rip)),
          is_32bit_(v.pv.is_32bit),
          long_mode_(in_long_mode(v, regs)) {}

    // Kind none: not a form we know.
    Operation decode() {
        // 64-bit kernels have no 32-bit code, and 32-bit ones no addresses of 16 bits.
        if (!long_mode_ && !is_32bit_) return {};
        const std::optional<u8> op = read_opcode(code_, p_, long_mode_);
        if (!op || (!long_mode_ && p_.address32)) return {};
        bool ok = false;
        if (*op != 0x0f) {
            ok = one_byte(*op);
        } else if (const std::optional<u8> second = code_.next()) {
            ok = two_byte(*second);
        }
        if (!ok) return {};
        o_.length = code_.at;
        return o_;
    }

  private:
    void width(bool is_byte) { o_.bytes = is_byte ? 1 : p_.rex_w() ? 8 : p_.operand16 ? 2 : 4; }

    // ModRM with a memory operand; goes behind SIB and displacement.
    bool memory() {
        const std::optional<u8> modrm = code_.next();
        if (!modrm || *modrm >> 6 == 3) return false;
        extension_ = (*modrm >> 3) & 7;
        const unsigned mod = *modrm >> 6, rm = *modrm & 7;
        unsigned displacement = mod == 1 ? 1 : mod == 2 || rm == 5 ? 4 : 0;
        if (rm == 4) {
            const std::optional<u8> sib = code_.next();
            if (!sib) return false;
            if (mod == 0 && (*sib & 7) == 5) displacement = 4;
        }
        return code_.skip(displacement);
    }

    void source_register() {
        unsigned n = extension_ | p_.rex_r();
        // Without REX, 4 to 7 are the second bytes of the first four registers.
        o_.high_byte = o_.bytes == 1 && p_.rex == 0 && n >= 4;
        if (o_.high_byte) n -= 4;
        o_.reg = &general_register(r_, n);
        o_.source = (o_.high_byte ? *o_.reg >> 8 : *o_.reg) & mask_of(o_.bytes);
    }
    bool with_register(Kind kind, bool is_byte) {
        width(is_byte);
        if (kind == Kind::none || !memory()) return false;
        o_.kind = kind;
        source_register();
        return true;
    }
    bool source_immediate(unsigned bytes) {
        const std::optional<u64> value = code_.immediate(bytes);
        if (!value) return false;
        o_.source = *value & mask_of(o_.bytes);
        return true;
    }
    unsigned full_immediate() const { return o_.bytes == 8 ? 4 : o_.bytes; }

    bool one_byte(u8 op) {
        const bool is_byte = (op & 1) == 0;
        if (op < 0x40 && (op & 7) < 2) return with_register(arithmetic(op >> 3), is_byte);
        switch (op) {
            case 0x88:
            case 0x89: return with_register(Kind::store, is_byte);
            case 0x86:
            case 0x87: return with_register(Kind::exchange, is_byte);
            case 0xa2:
            case 0xa3:  // to an address in the instruction
                width(is_byte);
                if (long_mode_ || !code_.skip(4)) return false;
                o_.kind = Kind::store;
                o_.reg = &r_.rax;
                o_.source = r_.rax & mask_of(o_.bytes);
                return true;
            case 0x80:
            case 0x81:
            case 0x83:
                width(is_byte);
                if (!memory()) return false;
                o_.kind = arithmetic(extension_);
                return o_.kind != Kind::none && source_immediate(op == 0x81 ? full_immediate() : 1);
            case 0xc6:
            case 0xc7:
                width(is_byte);
                if (!memory() || extension_ != 0) return false;
                o_.kind = Kind::store;
                return source_immediate(full_immediate());
            default: return false;
        }
    }

    bool two_byte(u8 op) {
        switch (op) {
            case 0xb0:
            case 0xb1: return with_register(Kind::compare_exchange, op == 0xb0);
            case 0xc0:
            case 0xc1: return with_register(Kind::exchange_add, op == 0xc0);
            case 0xc7:
                // CMPXCHG8B, by which PAE kernels write an entry whole.
                if (p_.rex_w() || !memory() || extension_ != 1) return false;
                o_.bytes = 8;
                o_.kind = Kind::compare_exchange_8b;
                o_.source = r_.rcx << 32 | static_cast<u32>(r_.rbx);
                return true;
            case 0xc3:
                return with_register(Kind::store, false);  // MOVNTI
            // A bit number beyond the operand means another word: the one at the fault's address.
            case 0xab: return with_register(Kind::bit_set, false);
            case 0xb3: return with_register(Kind::bit_reset, false);
            case 0xbb: return with_register(Kind::bit_complement, false);
            case 0xba: {
                constexpr Kind kKinds[] = {Kind::bit_set, Kind::bit_reset, Kind::bit_complement};
                width(false);
                if (!memory() || extension_ < 5) return false;
                o_.kind = kKinds[extension_ - 5];
                return source_immediate(1);
            }
            default: return false;
        }
    }

    GuestRegs& r_;
    Code code_;
    bool is_32bit_, long_mode_;
    Prefixes p_;
    Operation o_;
    unsigned extension_ = 0;
};

// RFLAGS after an operation (AMD APM vol. 3, each instruction's page).
constexpr u64 kPf = 1u << 2, kAf = 1u << 4, kZf = 1u << 6, kSf = 1u << 7, kOf = 1u << 11;
constexpr u64 kArithmeticFlags = kFlagCf | kPf | kAf | kZf | kSf | kOf;

u64 result_flags(u64 result, unsigned bytes) {
    const u64 v = result & mask_of(bytes);
    return (v == 0 ? kZf : 0) | ((v >> (bytes * 8 - 1) & 1) != 0 ? kSf : 0) |
           ((__builtin_popcountll(v & 0xff) & 1) == 0 ? kPf : 0);
}
u64 add_flags(u64 a, u64 b, unsigned bytes) {
    const u64 sum = (a + b) & mask_of(bytes);
    return result_flags(sum, bytes) | (sum < a ? kFlagCf : 0) | ((a ^ b ^ sum) & kAf) |
           (((a ^ sum) & (b ^ sum)) >> (bytes * 8 - 1) & 1) * kOf;
}
u64 subtract_flags(u64 a, u64 b, unsigned bytes) {
    const u64 difference = (a - b) & mask_of(bytes);
    return result_flags(difference, bytes) | (a < b ? kFlagCf : 0) | ((a ^ b ^ difference) & kAf) |
           (((a ^ b) & (a ^ difference)) >> (bytes * 8 - 1) & 1) * kOf;
}

// What an operation makes of the value in memory.
struct Effect {
    u64 value = 0;
    u64 flags = 0;          // new values of …
    u64 changed_flags = 0;  // … these
    bool writes = true;
};

Effect effect_of(const Operation& o, u64 old, u64 rax, u64 rdx) {
    const u64 s = o.source, m = mask_of(o.bytes);
    const auto logic = [&](u64 v) { return Effect{v, result_flags(v, o.bytes), kArithmeticFlags}; };
    const auto bit = [&](u64 set, u64 clear, u64 flip) {
        return Effect{((old | set) & ~clear) ^ flip, (old & (set | clear | flip)) != 0 ? kFlagCf : 0,
                      kFlagCf};
    };
    const u64 one = u64{1} << (s & (o.bytes * 8 - 1));
    switch (o.kind) {
        case Kind::none:
        case Kind::store:
        case Kind::exchange: return {s};
        case Kind::compare_exchange:
            return {s, subtract_flags(rax & m, old, o.bytes), kArithmeticFlags, (rax & m) == old};
        case Kind::compare_exchange_8b: {
            const bool equal = old == (rdx << 32 | static_cast<u32>(rax));
            return {s, equal ? kZf : 0, kZf, equal};
        }
        case Kind::exchange_add:
        case Kind::add: return {(old + s) & m, add_flags(old, s, o.bytes), kArithmeticFlags};
        case Kind::subtract: return {(old - s) & m, subtract_flags(old, s, o.bytes), kArithmeticFlags};
        case Kind::logic_or: return logic(old | s);
        case Kind::logic_and: return logic(old & s);
        case Kind::logic_xor: return logic(old ^ s);
        case Kind::bit_set: return bit(one, 0, 0);
        case Kind::bit_reset: return bit(0, one, 0);
        case Kind::bit_complement: return bit(0, 0, one);
    }
    return {};
}

// Writes a register as an instruction of this width does: 4 bytes clear the upper half.
void set_register(u64& reg, u64 value, unsigned bytes, bool high_byte) {
    if (high_byte)
        reg = (reg & ~u64{0xff00}) | value << 8;
    else if (bytes == 4)
        reg = value;
    else
        reg = (reg & ~mask_of(bytes)) | value;
}

constexpr int kTries = 16;

}  // namespace

EmulateResult emulate_pte_write(Vcpu& v, GuestRegs& regs, Vaddr fault) {
    const auto leaf = walk_guest(v, fault);
    if (!leaf || leaf->entry.writable()) return {};
    const Mfn table = leaf->entry.mfn();
    if (!frame_valid(table)) return {};
    const TypeWord type{frame_of(table).type.load(std::memory_order_relaxed)};
    if (type.type() != PageType::l1 || frame_of(table).owner != v.domain->id) return {};

    const Operation o = Decoder(v, regs).decode();
    const unsigned offset = static_cast<unsigned>(fault.v & 7);
    if (o.kind == Kind::none || offset + o.bytes > sizeof(Pte)) return {};
    const auto index = static_cast<unsigned>(page_offset(fault) / sizeof(Pte));

    u64 old = 0;
    Effect effect;
    if (o.kind == Kind::store && o.bytes == sizeof(Pte)) [[likely]] {
        if (!write_pte(v, table, index, Pte(o.source))) return {};
    } else {
        const u64 mask = mask_of(o.bytes) << (offset * 8);
        for (int tries = 0;; tries++) {
            // Hardware, or another CPU of the guest's, is at the same entry.
            if (tries == kTries) return {.action = EmulateResult::Action::retry};
            const Pte now = load_entry(port::frame_ptr<Pte>(table)[index]);
            old = (now.v & mask) >> (offset * 8);
            effect = effect_of(o, old, regs.rax, regs.rdx);
            if (!effect.writes) break;
            const Pte next((now.v & ~mask) | effect.value << (offset * 8));
            const auto seen = exchange_pte(v, table, index, now, next);
            if (!seen) return {};
            if (*seen == now) break;
        }
    }
    if (o.kind == Kind::exchange || o.kind == Kind::exchange_add)
        set_register(*o.reg, old, o.bytes, o.high_byte);
    else if (o.kind == Kind::compare_exchange && !effect.writes)
        set_register(regs.rax, old, o.bytes, false);
    else if (o.kind == Kind::compare_exchange_8b && !effect.writes)
        regs.rax = static_cast<u32>(old), regs.rdx = old >> 32;
    regs.rflags = (regs.rflags & ~effect.changed_flags & ~kFlagRf) | (effect.flags & effect.changed_flags);
    regs.rip += o.length;
    if ((regs.rflags & kFlagTf) == 0) return {.action = EmulateResult::Action::done};
    v.pv.debug_regs[6] |= 1u << 14;  // DR6.BS
    return EmulateResult::trap(Trap::debug);
}

}  // namespace domus::pv
