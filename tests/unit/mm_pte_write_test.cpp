// SPDX-License-Identifier: GPL-2.0-or-later
// Emulated writes to page tables: each form of instruction is also run on the real CPU, on an ordinary word,
// and the two must agree in memory, registers and flags.
#include <sys/mman.h>

#include <cstring>
#include <random>

#include "abi/xen.hpp"
#include "core/domain.hpp"
#include "mm_fixture.hpp"
#include "pv/emulate.hpp"
#include "pv/mmu.hpp"

namespace domus {
namespace {

constexpr DomId kDom{1};
constexpr u64 kRw = Pte::kPresent | Pte::kWritable, kRo = Pte::kPresent;
constexpr u64 kStatus = 0x8d5;  // CF PF AF ZF SF OF

class PteWrite : public MemoryTest {
  protected:
    PteWrite() {
        domain.id = kDom;
        vcpu.domain = &domain;
        const Mfn l4 = new_frame(kDom), l3 = new_frame(kDom), l2 = new_frame(kDom);
        l1 = new_frame(kDom), page = new_frame(kDom), other = new_frame(kDom);
        table(l4)[0] = Pte(l3, kRw), table(l3)[0] = Pte(l2, kRw), table(l2)[0] = Pte(l1, kRw);
        table(l1)[1] = Pte(l1, kRo);
        EXPECT_TRUE(pv::set_kernel_table(vcpu, l4, false));
        regs.cs = FLAT_RING3_CS64;
    }
    pv::EmulateResult run(std::initializer_list<u8> code, unsigned index, unsigned offset = 0) {
        std::memcpy(machine.guest.data() + 0xff8, code.begin(), code.size());
        regs.rip = fakes::Machine::guest_base + 0xff8;  // across a page
        return pv::emulate_pte_write(vcpu, regs, Vaddr(0x1000 + index * 8 + offset));
    }
    bool done(std::initializer_list<u8> code, unsigned index, unsigned offset = 0) {
        const bool ok = run(code, index, offset).action == pv::EmulateResult::Action::done;
        return ok && regs.rip == fakes::Machine::guest_base + 0xff8 + code.size();
    }

    Domain domain;
    Vcpu vcpu;
    GuestRegs regs{};
    Mfn l1, page, other;
};

TEST_F(PteWrite, StoresAndExchangesTakeAndGiveReferences) {
    regs.rax = Pte(page, kRw).v;
    EXPECT_TRUE(done({0x48, 0x89, 0x04, 0x25, 0, 0, 0, 0}, 7));  // mov [disp32], rax
    EXPECT_EQ(table(l1)[7], Pte(page, kRw | Pte::kUser));
    EXPECT_EQ(type_of(page).count(), 1u);
    regs.r9 = 0;
    EXPECT_TRUE(done({0x4c, 0x87, 0x4b, 0x10}, 7));  // xchg [rbx+16], r9
    EXPECT_EQ(regs.r9, Pte(page, kRw | Pte::kUser).v);
    EXPECT_EQ(refs_of(page), 1u);
    EXPECT_EQ(table(l1)[7], Pte());
    EXPECT_TRUE(done({0x48, 0xc7, 0x05, 1, 2, 3, 4, 0xfe, 0xff, 0xff, 0x7f}, 8));  // mov [rip+x], imm32
    EXPECT_EQ(table(l1)[8].v, 0x7ffffffeu);
}

TEST_F(PteWrite, ClearsOneBit) {
    ASSERT_TRUE(pv::write_pte(vcpu, l1, 7, Pte(page, kRw | Pte::kAccessed)));
    EXPECT_TRUE(done({0xf0, 0x48, 0x0f, 0xba, 0x33, 5}, 7));  // lock btr qword [rbx], 5
    EXPECT_EQ(regs.rflags & 1, 1u);
    EXPECT_EQ(table(l1)[7].v & Pte::kAccessed, 0u);
    EXPECT_TRUE(done({0xf0, 0x80, 0x23, 0xfd}, 7));  // lock and byte [rbx], ~2
    EXPECT_EQ(table(l1)[7], Pte(page, kRo | Pte::kUser));
    EXPECT_EQ(type_of(page).count(), 0u);
    EXPECT_EQ(refs_of(page), 2u);
}

TEST_F(PteWrite, ComparesBeforeItWrites) {
    ASSERT_TRUE(pv::write_pte(vcpu, l1, 7, Pte(page, kRw)));
    const u64 now = table(l1)[7].v;
    regs.rax = now + 1, regs.rcx = 0;
    EXPECT_TRUE(done({0xf0, 0x48, 0x0f, 0xb1, 0x0b}, 7));
    EXPECT_EQ(regs.rax, now);
    EXPECT_EQ(regs.rflags & 0x40, 0u);
    EXPECT_TRUE(done({0xf0, 0x48, 0x0f, 0xb1, 0x0b}, 7));
    EXPECT_EQ(regs.rflags & 0x40, 0x40u);
    EXPECT_EQ(table(l1)[7], Pte());
    EXPECT_EQ(refs_of(page), 1u);
}

TEST_F(PteWrite, RefusesWhatItMust) {
    using A = pv::EmulateResult::Action;
    regs.rax = Pte(l1, kRw).v;
    EXPECT_EQ(run({0x48, 0x89, 0x03}, 7).action, A::none);  // a table, writable
    EXPECT_EQ(table(l1)[7], Pte());
    regs.rax = 0;
    EXPECT_EQ(run({0x48, 0x89, 0x03}, 7, 4).action, A::none);              // across entries
    EXPECT_EQ(run({0x48, 0x89, 0xc3}, 7).action, A::none);                 // register form
    EXPECT_EQ(run({0xf3, 0x48, 0xab}, 7).action, A::none);                 // a form we do not know
    EXPECT_EQ(run({0xf0, 0x48, 0x0f, 0xba, 0x23, 5}, 7).action, A::none);  // bt writes nothing
    EXPECT_EQ(pv::emulate_pte_write(vcpu, regs, Vaddr(0x5000)).action, A::none);
    ASSERT_TRUE(pv::write_pte(vcpu, l1, 6, Pte(page, kRo)));
    EXPECT_EQ(pv::emulate_pte_write(vcpu, regs, Vaddr(0x6000)).action, A::none);  // read-only, no table
    regs.rip = 8;
    EXPECT_EQ(pv::emulate_pte_write(vcpu, regs, Vaddr(0x1000)).action, A::none);
    regs.rflags = kFlagTf;
    EXPECT_EQ(run({0x48, 0x89, 0x03}, 7).action, A::inject);  // single step
}

#if defined(__x86_64__)
// Every form, with random operands, against the CPU. The entry has no present bit, so any value may stand
// there.
TEST_F(PteWrite, AgreesWithTheProcessor) {
    struct Form {
        u8 code[10];
        u8 length, bytes;
    };
    // Operand [rbx], register rcx or cl, ch, or an immediate at the end.
    static const Form kForms[] = {
        {{0x88, 0x0b}, 2, 1},
        {{0x88, 0x2b}, 2, 1},
        {{0x40, 0x88, 0x0b}, 3, 1},
        {{0x66, 0x89, 0x0b}, 3, 2},
        {{0x89, 0x0b}, 2, 4},
        {{0x48, 0x89, 0x0b}, 3, 8},
        {{0x86, 0x0b}, 2, 1},
        {{0x86, 0x2b}, 2, 1},
        {{0x87, 0x0b}, 2, 4},
        {{0x48, 0x87, 0x0b}, 3, 8},
        {{0x01, 0x0b}, 2, 4},
        {{0xf0, 0x48, 0x09, 0x0b}, 4, 8},
        {{0x20, 0x0b}, 2, 1},
        {{0xf0, 0x48, 0x21, 0x0b}, 4, 8},
        {{0x66, 0x29, 0x0b}, 3, 2},
        {{0x48, 0x29, 0x0b}, 3, 8},
        {{0x31, 0x0b}, 2, 4},
        {{0xf0, 0x80, 0x23, 0x5a}, 4, 1},
        {{0x80, 0x03, 0x81}, 3, 1},
        {{0x48, 0x81, 0x23, 0x12, 0x34, 0x56, 0x87}, 7, 8},
        {{0x66, 0x81, 0x0b, 0x34, 0x92}, 5, 2},
        {{0x48, 0x83, 0x2b, 0xf7}, 4, 8},
        {{0x83, 0x33, 0x80}, 3, 4},
        {{0xc6, 0x03, 0x77}, 3, 1},
        {{0x66, 0xc7, 0x03, 0x11, 0x92}, 5, 2},
        {{0xc7, 0x03, 1, 2, 3, 0x84}, 6, 4},
        {{0x48, 0xc7, 0x03, 1, 2, 3, 0x84}, 7, 8},
        {{0xf0, 0x0f, 0xb0, 0x0b}, 4, 1},
        {{0xf0, 0x0f, 0xb1, 0x0b}, 4, 4},
        {{0xf0, 0x48, 0x0f, 0xb1, 0x0b}, 5, 8},
        {{0xf0, 0x0f, 0xc0, 0x0b}, 4, 1},
        {{0xf0, 0x48, 0x0f, 0xc1, 0x0b}, 5, 8},
        {{0x48, 0x0f, 0xc3, 0x0b}, 4, 8},
        {{0xf0, 0x48, 0x0f, 0xba, 0x2b, 0x45}, 6, 8},
        {{0xf0, 0x48, 0x0f, 0xba, 0x33, 0x05}, 6, 8},
        {{0xf0, 0x0f, 0xba, 0x3b, 0x1e}, 5, 4},
        {{0x66, 0x0f, 0xba, 0x2b, 0x0b}, 5, 2},
    };
    auto* code = static_cast<u8*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(code, MAP_FAILED);
    std::mt19937_64 rng(5);
    for (const Form& f : kForms) {
        std::memcpy(code, f.code, f.length);
        code[f.length] = 0xc3;
        for (int n = 0; n < 200; n++) {
            // Bit 0 of the entry stays clear: the present bit would have the value checked.
            const unsigned offset = 8 - f.bytes;
            u64 word = rng() & ~u64{0xff00000000000001};
            u64 rcx = rng(), rax = n % 2 == 0 ? rng() : word >> (offset * 8);
            if (f.bytes == 8) {
                rcx &= ~u64{1};
                if (f.code[f.length - 1] == 0x84) word &= ~u64{1};
            }
            u64 native = word, c = rcx, a = rax, flags = 0x202, b = reinterpret_cast<u64>(&native) + offset;
            asm volatile("pushq %[f]\n\tpopfq\n\tcall *%[p]\n\tpushfq\n\tpopq %[f]"
                         : [f] "+r"(flags), "+c"(c), "+a"(a), "+b"(b)
                         : [p] "r"(code)
                         : "memory", "cc");
            if ((native & 1) != 0) continue;
            table(l1)[9] = Pte(word);
            regs.rax = rax, regs.rcx = rcx, regs.rflags = 0x202;
            regs.rbx = 0xdead;
            std::memcpy(machine.guest.data() + 0x800, f.code, f.length);
            regs.rip = fakes::Machine::guest_base + 0x800;
            const auto r = pv::emulate_pte_write(vcpu, regs, Vaddr(0x1000 + 9 * 8 + offset));
            ASSERT_EQ(r.action, pv::EmulateResult::Action::done)
                << std::hex << +f.code[0] << " " << +f.code[1];
            EXPECT_EQ(table(l1)[9].v, native)
                << std::hex << &f - kForms << " " << word << " " << rcx << " " << rax;
            EXPECT_EQ(regs.rcx, c);
            EXPECT_EQ(regs.rax, a);
            EXPECT_EQ(regs.rip, fakes::Machine::guest_base + 0x800 + f.length);
            // AND, OR and XOR leave AF undefined; the bit instructions all but CF.
            const bool bits = f.length > 2 && f.code[f.length - 3] == 0xba;
            const u64 compare = bits ? 1u : kStatus & ~0x10u;
            EXPECT_EQ(regs.rflags & compare, flags & compare) << std::hex << +f.code[0] << " " << +f.code[1];
            if (HasFailure()) return;
        }
    }
    munmap(code, 4096);
}
#endif

}  // namespace
}  // namespace domus
