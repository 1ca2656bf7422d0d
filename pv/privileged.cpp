// SPDX-License-Identifier: GPL-2.0-or-later
// Privileged instructions: a guest's kernel runs in ring 3, so each of them faults, and is carried out here.
//
// The set is small and none of it but INS and OUTS touches memory, so it is decoded by hand: prefixes, one or
// two opcode bytes, and a ModRM byte that names registers (AMD APM vol. 3, 1.2 and Appendix A).
#include <optional>

#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "port/cpu.hpp"
#include "port/guest_memory.hpp"
#include "port/io.hpp"
#include "port/pv_hw.hpp"
#include "pv/address.hpp"
#include "pv/cpuid.hpp"
#include "pv/debug_regs.hpp"
#include "pv/emulate.hpp"
#include "pv/guest_cr2.hpp"
#include "pv/instruction.hpp"
#include "pv/io_ports.hpp"
#include "pv/msr.hpp"

namespace domus::pv {

namespace {

constexpr u64 kCr0Ts = 1u << 3;

// A result of 1, 2 or 4 bytes in RAX: 4 bytes clear the upper half.
void set_rax(GuestRegs& r, unsigned bytes, u32 value) {
    if (bytes == 4)
        r.rax = value;
    else if (bytes == 2)
        r.rax = (r.rax & ~u64{0xffff}) | (value & 0xffff);
    else
        r.rax = (r.rax & ~u64{0xff}) | (value & 0xff);
}

class Emulator {
  public:
    Emulator(Vcpu& v, GuestRegs& regs) : v_(v), r_(regs), code_(fetch_code(regs.rip)) {}

    EmulateResult run() {
        const std::optional<u8> op = read_opcode(code_, p_, in_long_mode(v_, r_));
        if (!op || p_.lock) return refused();
        return *op == 0x0f ? two_byte() : one_byte(*op);
    }

  private:
    static EmulateResult refused() { return EmulateResult::trap(Trap::general_protection); }

    // The instruction is complete: go behind it, and honour single-stepping.
    EmulateResult done() {
        r_.rip += code_.at;
        r_.rflags &= ~kFlagRf;
        if ((r_.rflags & kFlagTf) == 0) return {.action = EmulateResult::Action::done};
        v_.pv.debug_regs[6] |= 1u << 14;  // DR6.BS
        return EmulateResult::trap(Trap::debug);
    }

    EmulateResult one_byte(u8 op) {
        switch (op) {
            case 0xe4:
            case 0xe5:
            case 0xe6:
            case 0xe7: {
                const std::optional<u8> port = code_.next();
                return port ? in_out(*port, op & 1, (op & 2) != 0) : refused();
            }
            case 0xec:
            case 0xed:
            case 0xee:
            case 0xef: return in_out(static_cast<u16>(r_.rdx), op & 1, (op & 2) != 0);
            case 0x6c:
            case 0x6d:
            case 0x6e:
            case 0x6f: return string_io(op & 1, (op & 2) != 0);
            case 0xfa:  // CLI and STI change nothing: events are masked through vcpu_info
            case 0xfb: return v_.pv.in_kernel && v_.pv.iopl >= 1 ? done() : refused();
            default: return refused();
        }
    }

    unsigned io_bytes(bool wide) const { return !wide ? 1 : p_.operand16 ? 2 : 4; }

    EmulateResult in_out(u16 port, bool wide, bool out) {
        const unsigned bytes = io_bytes(wide);
        if (!port_allowed(v_, port, bytes)) return refused();
        if (out)
            write_port(v_, port, bytes, static_cast<u32>(r_.rax));
        else
            set_rax(r_, bytes, read_port(v_, port, bytes));
        return done();
    }

    // INS and OUTS, flat segments. One element at a time; a repeated one gives way to pending work with RIP
    // still on it.
    EmulateResult string_io(bool wide, bool out) {
        // A 32-bit guest's programs share their kernel's tables, and our copies do not ask for the user bit.
        if (v_.pv.is_32bit && !v_.pv.in_kernel) return refused();
        const unsigned bytes = io_bytes(wide);
        const u16 port = static_cast<u16>(r_.rdx);
        if (!port_allowed(v_, port, bytes)) return refused();
        u64& index = out ? r_.rsi : r_.rdi;
        const u64 mask = p_.address32 || !in_long_mode(v_, r_) ? 0xffffffffu : ~u64{0};
        const u64 step = (r_.rflags & kFlagDf) != 0 ? ~u64{bytes} + 1 : bytes;
        while (!p_.repeat || (r_.rcx & mask) != 0) {
            u32 value = 0;
            const Vaddr at(index & mask);
            if (out) {
                if (const usize left = port::copy_from_guest(&value, at, bytes))
                    return memory_fault(at, bytes, left, 0);
                write_port(v_, port, bytes, value);
            } else {
                // The page is tried before the device is read: its data would be lost.
                if (const usize left = port::copy_to_guest(at, &value, bytes))
                    return memory_fault(at, bytes, left, kPfWrite);
                value = read_port(v_, port, bytes);
                (void)port::copy_to_guest(at, &value, bytes);
            }
            index = (index + step) & mask;
            if (!p_.repeat) break;
            r_.rcx = (r_.rcx - 1) & mask;
            if ((r_.rcx & mask) != 0 && port::preempt_wanted())
                return {.action = EmulateResult::Action::retry};
        }
        return done();
    }

    static EmulateResult memory_fault(Vaddr at, unsigned bytes, usize left, u32 code) {
        if (!guest_address(at.v)) return refused();
        return EmulateResult::trap(Trap::page_fault, code, at.v + bytes - left);
    }

    EmulateResult two_byte() {
        const std::optional<u8> op = code_.next();
        if (!op) return refused();
        if (*op == 0xa2) {  // CPUID, where it faults
            const CpuidLeaf leaf = guest_cpuid(v_, static_cast<u32>(r_.rax), static_cast<u32>(r_.rcx));
            r_.rax = leaf.eax;
            r_.rbx = leaf.ebx;
            r_.rcx = leaf.ecx;
            r_.rdx = leaf.edx;
            return done();
        }
        if (*op == 0x31) {  // RDTSC, where the counter is emulated
            if ((v_.pv.cr4 & (1u << 2)) != 0 && !v_.pv.in_kernel) return refused();
            return read_counter();
        }
        if (*op == 0x01 && code_.at < code_.size && code_.bytes[code_.at] == 0xf9) {  // RDTSCP
            code_.at++;
            if (!has_tsc_aux(*v_.domain)) return EmulateResult::trap(Trap::invalid_opcode);
            if ((v_.pv.cr4 & (1u << 2)) != 0 && !v_.pv.in_kernel) return refused();
            r_.rcx = v_.pv.tsc_aux;
            return read_counter();
        }
        if (!v_.pv.in_kernel) return refused();
        switch (*op) {
            case 0x06:  // CLTS
                v_.pv.cr0 &= ~kCr0Ts;
                port::set_task_switched(v_, false);
                return done();
            case 0x08:  // INVD: a guest must not drop another's data
            case 0x09:
                return done();  // WBINVD: memory is coherent, and what needs it (dom0's drivers) has
                                // FLUSH_CACHE
            case 0x20: return control_register(false);
            case 0x22: return control_register(true);
            case 0x21: return debug_register(false);
            case 0x23: return debug_register(true);
            case 0x30: {
                const u64 value = (r_.rdx << 32) | static_cast<u32>(r_.rax);
                return write_msr(v_, static_cast<u32>(r_.rcx), value) ? done() : refused();
            }
            case 0x32: {
                const Result<u64> value = read_msr(v_, static_cast<u32>(r_.rcx));
                if (!value) return refused();
                r_.rax = static_cast<u32>(*value);
                r_.rdx = *value >> 32;
                return done();
            }
            case 0x01: {
                const std::optional<u8> second = code_.next();
                return second && *second == 0xd1 ? xsetbv() : refused();
            }
            default: return refused();
        }
    }

    EmulateResult read_counter() {
        const u64 tsc = guest_tsc(v_);
        r_.rax = static_cast<u32>(tsc);
        r_.rdx = tsc >> 32;
        return done();
    }

    EmulateResult control_register(bool write) {
        const std::optional<u8> modrm = code_.next();
        if (!modrm) return refused();
        const unsigned number = ((*modrm >> 3) & 7u) | p_.rex_r();
        u64& reg = general_register(r_, (*modrm & 7u) | p_.rex_b());
        if (!write) {
            switch (number) {
                case 0: reg = v_.pv.cr0; return done();
                case 2: reg = guest_cr2(v_); return done();
                case 3:
                    reg = v_.pv.is_32bit ? xen_pfn_to_cr3_x86_32(v_.pv.pae_table.v)
                                         : maddr(v_.pv.kernel_table).v;
                    return done();
                case 4: reg = v_.pv.cr4; return done();
                default: return refused();
            }
        }
        switch (number) {
            case 0:
                // Of CR0 only TS is the guest's to change.
                if (((reg ^ v_.pv.cr0) & ~kCr0Ts) != 0) return refused();
                v_.pv.cr0 = reg;
                port::set_task_switched(v_, (reg & kCr0Ts) != 0);
                return done();
            case 2: set_guest_cr2(v_, reg); return done();
            case 4: {
                // OSXSAVE shows in CPUID, TSD is honoured where RDTSC faults; the rest of the register is the
                // hypervisor's and a guest's wish for it is taken as its view.
                constexpr u64 kKnown = 0x0077efffu;
                if ((reg & ~kKnown) != 0) return refused();
                v_.pv.cr4 = reg;
                return done();
            }
            default: return refused();
        }
    }

    EmulateResult debug_register(bool write) {
        const std::optional<u8> modrm = code_.next();
        if (!modrm) return refused();
        const unsigned number = (*modrm >> 3) & 7u;
        u64& reg = general_register(r_, (*modrm & 7u) | p_.rex_b());
        if (write) {
            if (!set_debug_reg(v_.pv, number, reg)) return refused();
            port::load_debug_regs(v_);
            return done();
        }
        const Result<u64> value = get_debug_reg(v_.pv, number);
        if (!value) return refused();
        reg = *value;
        return done();
    }

    EmulateResult xsetbv() {
        const u64 value = (r_.rdx << 32) | static_cast<u32>(r_.rax);
        if (static_cast<u32>(r_.rcx) != 0) return refused();
        if (!xcr0_allowed(*v_.domain, value)) return refused();
        v_.pv.xcr0 = value;
        port::load_xcr0(value);
        return done();
    }

    Vcpu& v_;
    GuestRegs& r_;
    Code code_;
    Prefixes p_;
};

}  // namespace

EmulateResult emulate_privileged(Vcpu& v, GuestRegs& regs) { return Emulator(v, regs).run(); }

EmulateResult emulate_forced(Vcpu& v, GuestRegs& regs) {
    // UD2, "xen", CPUID (public arch-x86/xen.h, XEN_EMULATE_PREFIX).
    static constexpr u8 kCode[7] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
    u8 code[sizeof kCode];
    if (port::copy_from_guest(code, Vaddr(regs.rip), sizeof code) != 0) return {};
    if (__builtin_memcmp(code, kCode, sizeof code) != 0) return {};
    const CpuidLeaf leaf = guest_cpuid(v, static_cast<u32>(regs.rax), static_cast<u32>(regs.rcx));
    regs.rax = leaf.eax;
    regs.rbx = leaf.ebx;
    regs.rcx = leaf.ecx;
    regs.rdx = leaf.edx;
    regs.rip += sizeof code;
    return {.action = EmulateResult::Action::done};
}

}  // namespace domus::pv
