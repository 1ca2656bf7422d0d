// SPDX-License-Identifier: GPL-2.0-or-later
#include "hostile/instructions.hpp"

#include "base/assert.hpp"
#include "hostile/arena.hpp"
#include "hostile/report.hpp"
#include "lib/start.hpp"

// One run of bytes with given registers; entry.S's frames bring us back by the fault at its end.
extern "C" void run_code(const guest::u64* registers, guest::u64 rip);

asm(R"(
        .text
        .globl run_code
run_code:
        movq    %rsi, %r11
        movq    0(%rdi), %rax
        movq    8(%rdi), %rbx
        movq    16(%rdi), %rcx
        movq    24(%rdi), %rdx
        movq    32(%rdi), %rsi
        movq    48(%rdi), %rbp
        movq    56(%rdi), %r8
        movq    64(%rdi), %r9
        movq    72(%rdi), %r10
        movq    80(%rdi), %r12
        movq    88(%rdi), %r13
        movq    96(%rdi), %r14
        movq    104(%rdi), %r15
        movq    40(%rdi), %rdi
        jmp     *%r11
)");

namespace hostile {

namespace {

constexpr u64 kCode =
    0xffffa00000000000;  // a place of its own: what code near it can reach is the arena's kind
constexpr u64 kUserStacks = kCode + kSuperpageSize;
u64 code_pfn[kMaxCpus];
u64 user_root;  // pfn of a level 4 table with the arena, code and stacks, and without our kernel

// Where no instruction of ours may do harm: ports stay closed, events may come.
void close_ports(u64 iopl) {
    physdev_set_iopl_t arg{.iopl = static_cast<u32>(iopl)};
    operate(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, arg);
}

// Puts the bytes into the page; returns their address.
u64 place_code(Random& r, const u8* bytes, usize count) {
    u8* const page = direct(code_pfn[this_cpu().id]);
    // Near the end of the page now and then: the next one is not there.
    const u64 offset = r.one_in(8) ? kPageSize - 1 - r.below(16) : r.below(kPageSize - 64);
    const u64 room = kPageSize - offset;
    // UD2s right behind it: what an earlier run has left there must not be executed, least of all in kernel
    // mode.
    for (usize i = 0; i < 48 && i < room; i++)
        page[offset + i] = i < count ? bytes[i] : ((i - count) % 2 == 0 ? 0x0f : 0x0b);
    return kCode + this_cpu().id * 2 * kPageSize + offset;
}

void choose_registers(Random& r, u64 (&registers)[14]) {
    for (u64& x : registers) x = r.one_in(2) ? some_arena_address(r) : r.edge();
    // Of what string instructions count there is to be little.
    registers[2] = r.one_in(8) ? r.edge() : r.below(64);
}

// In kernel mode, where it is ours to keep the stack: for bytes that leave RSP alone.
void run_in_kernel(Random& r, const u8* bytes, usize count) {
    u64 registers[14];
    choose_registers(r, registers);
    // A system call is to be none that does something.
    if (registers[0] < 64) registers[0] += 64;
    const u64 rip = place_code(r, bytes, count);
    attempt([&] { run_code(registers, rip); });
}

// In user mode: whatever happens there comes back by an exception or a system call, on a kernel stack below
// us.
void run_in_user(Random& r, const u8* bytes, usize count) {
    u64 values[14];
    choose_registers(r, values);
    const u64 rip = place_code(r, bytes, count);
    if (extended(MMUEXT_NEW_USER_BASEPTR, mfn_of(user_root).v) != 0) panic("no user mode");
    u64 sp;
    asm("movq %%rsp, %0" : "=r"(sp));
    hypercall(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, sp - 8192);
    Frame f{};
    f.rax = values[0], f.rbx = values[1], f.rcx = values[2], f.rdx = values[3], f.rsi = values[4],
    f.rdi = values[5];
    f.rbp = values[6], f.r8 = values[7], f.r9 = values[8], f.r10 = values[9], f.r12 = values[10],
    f.r13 = values[11];
    f.r14 = values[12], f.r15 = values[13];
    f.rip = rip;
    f.cs = FLAT_USER_CS64;
    f.ss = FLAT_USER_SS64;
    f.rsp = r.one_in(8) ? r.edge() : kUserStacks + (this_cpu().id + 1) * kPageSize - 64;
    f.rflags = 0x202 | (r.one_in(4) ? r.next() & 0x240cd5 : 0);
    static Frame frames[kMaxCpus];
    frames[this_cpu().id] = f;
    attempt([] { enter_user(&frames[this_cpu().id]); });
}

}  // namespace

void make_code_pages() {
    for (u32 i = 0; i < kMaxCpus; i++) {
        const u64 va = kCode + i * 2 * kPageSize;
        code_pfn[i] = take_page();
        if (!make_tables(va) || update_va(va, Pte(mfn_of(code_pfn[i]), kRo)) != 0) panic("no pages for code");
        const u64 stack = kUserStacks + i * kPageSize;
        if (!make_tables(stack) || update_va(stack, Pte(mfn_of(take_page()), kRw)) != 0)
            panic("no user stacks");
    }
    user_root = copy_root();
    // What is linked in a table that is no level 4 table yet is written as plain memory.
    for (u32 slot = 0; slot < kPtesPerTable; slot++) {
        if (slot == table_index(Vaddr(kCode), 4) || slot == table_index(Vaddr(kArena), 4)) continue;
        if (slot < 256 || slot >= 272) protect(user_root, true), direct<u64>(user_root)[slot] = 0;
    }
    protect(user_root, false);
    if (extended(MMUEXT_PIN_L4_TABLE, mfn_of(user_root).v) != 0) panic("no root for user mode");
}

void privileged_instruction(Random& r) {
    struct Bytes {
        u8 length;
        u8 bytes[8];
    };
    static constexpr Bytes kList[] = {
        {1, {0xf4}},                          // hlt
        {1, {0xfa}},                          // cli
        {1, {0xfb}},                          // sti
        {2, {0x0f, 0x06}},                    // clts
        {2, {0x0f, 0x08}},                    // invd
        {2, {0x0f, 0x09}},                    // wbinvd
        {2, {0x0f, 0x30}},                    // wrmsr
        {2, {0x0f, 0x32}},                    // rdmsr
        {2, {0x0f, 0x33}},                    // rdpmc
        {2, {0x0f, 0x31}},                    // rdtsc
        {2, {0x0f, 0xa2}},                    // cpuid
        {2, {0x0f, 0x34}},                    // sysenter
        {2, {0x0f, 0x35}},                    // sysexit
        {2, {0x0f, 0x07}},                    // sysret
        {2, {0x0f, 0x37}},                    // getsec
        {3, {0x0f, 0x01, 0xd1}},              // xsetbv
        {3, {0x0f, 0x01, 0xd0}},              // xgetbv
        {3, {0x0f, 0x01, 0xf8}},              // swapgs
        {3, {0x0f, 0x01, 0xf9}},              // rdtscp
        {3, {0x0f, 0x01, 0xd8}},              // vmrun
        {3, {0x0f, 0x01, 0xd9}},              // vmmcall
        {3, {0x0f, 0x01, 0xc1}},              // vmcall
        {3, {0x0f, 0x01, 0xdd}},              // clgi
        {3, {0x0f, 0x01, 0xdf}},              // invlpga
        {3, {0x0f, 0x01, 0xca}},              // clac
        {3, {0x0f, 0x01, 0xcb}},              // stac
        {3, {0x0f, 0x01, 0xc8}},              // monitor
        {3, {0x0f, 0x01, 0xc9}},              // mwait
        {3, {0x0f, 0x01, 0x17}},              // lgdt [rdi]
        {3, {0x0f, 0x01, 0x1f}},              // lidt [rdi]
        {3, {0x0f, 0x01, 0x07}},              // sgdt [rdi]
        {3, {0x0f, 0x01, 0x0f}},              // sidt [rdi]
        {3, {0x0f, 0x01, 0x3f}},              // invlpg [rdi]
        {3, {0x0f, 0x01, 0xf0}},              // lmsw ax
        {3, {0x0f, 0x01, 0xe0}},              // smsw eax
        {3, {0x0f, 0x00, 0xd0}},              // lldt ax
        {3, {0x0f, 0x00, 0xd8}},              // ltr ax
        {3, {0x0f, 0x00, 0xc0}},              // sldt eax
        {3, {0x0f, 0x00, 0xc8}},              // str eax
        {3, {0x0f, 0x00, 0xe0}},              // verr ax
        {3, {0x0f, 0x02, 0xc0}},              // lar
        {3, {0x0f, 0x03, 0xc0}},              // lsl
        {3, {0x0f, 0xaa, 0x90}},              // rsm
        {1, {0xf1}},                          // int1
        {1, {0xcc}},                          // int3
        {1, {0xce}},                          // into: none in 64-bit mode
        {1, {0x9c}},                          // pushf
        {3, {0x8e, 0xd0, 0xcc}},              // mov ss, ax; int3
        {4, {0x8e, 0xd0, 0x0f, 0x05}},        // mov ss, ax; syscall
        {2, {0x17, 0x90}},                    // pop ss: none in 64-bit mode
        {5, {0xf3, 0x48, 0x0f, 0xae, 0xc0}},  // rdfsbase rax
        {5, {0xf3, 0x48, 0x0f, 0xae, 0xd0}},  // wrfsbase rax
        {5, {0xf3, 0x48, 0x0f, 0xae, 0xd8}},  // wrgsbase rax
        {7, {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2}},
        {2, {0x6c, 0x90}},              // insb
        {2, {0xf3, 0x6d}},              // rep insd
        {2, {0xf3, 0x6e}},              // rep outsb
        {3, {0x67, 0xf3, 0x6e}},        // rep outsb, 32-bit addresses
        {3, {0x64, 0xf3, 0x6e}},        // rep outsb fs:
        {4, {0x0f, 0xc7, 0x0f, 0x90}},  // cmpxchg8b [rdi]
        {3, {0x0f, 0xff, 0xc0}},        // ud0
        {2, {0xdb, 0xe3}},              // fninit
        {2, {0x9b, 0x90}},              // fwait
        {3, {0x0f, 0xae, 0x0f}},        // fxrstor [rdi]
        {3, {0x0f, 0xae, 0x2f}},        // xrstor [rdi]
        {3, {0x0f, 0xae, 0x27}},        // xsave [rdi]
        {3, {0x0f, 0xae, 0x17}},        // ldmxcsr [rdi]
    };
    u8 bytes[16];
    usize n = 0;
    switch (r.below(4)) {
        case 0: {  // moves to and from control and debug registers, any of them
            if (r.one_in(2)) bytes[n++] = static_cast<u8>(0x40 + r.below(16));
            bytes[n++] = 0x0f;
            bytes[n++] = static_cast<u8>(0x20 + r.below(4));
            bytes[n] = static_cast<u8>(r.next());
            if ((bytes[n] & 7) == 4) bytes[n] ^= 1;  // RSP is ours to keep
            n++;
            break;
        }
        case 1: {  // INT n
            bytes[n++] = 0xcd;
            bytes[n++] = static_cast<u8>(r.next());
            // Hypercalls by INT 0x82 are 32-bit guests'; 0x80 comes in through our own gate.
            break;
        }
        default: {
            const Bytes& b = kList[r.below(sizeof kList / sizeof *kList)];
            while (r.one_in(4) && n < 4)
                bytes[n++] = "\x66\x67\xf0\xf2\xf3\x2e\x36\x48\x4f\x64\x65"[r.below(11)];
            for (u32 i = 0; i < b.length; i++) bytes[n++] = b.bytes[i];
        }
    }
    close_ports(0);
    if (r.one_in(2))
        run_in_kernel(r, bytes, n);
    else
        run_in_user(r, bytes, n);
}

void random_code(Random& r) {
    u8 bytes[32];
    const usize n = 1 + r.below(15);
    for (usize i = 0; i < n; i++) bytes[i] = static_cast<u8>(r.next());
    // Two-byte opcodes are where the system's instructions are.
    if (r.one_in(3)) bytes[0] = 0x0f;
    run_in_user(r, bytes, n);
}

// By the iret hypercall to a frame that is partly rubbish. It goes to a place of ours, or faults.
void odd_return(Random& r) {
    Place here;
    Cpu* volatile mine = &this_cpu();
    Place* const outer = mine->place;
    if (mark_place(&here) != 0) {
        // By our own frame or by a fault: whatever came along of the flags goes.
        asm volatile("cld" : : : "memory");
        mine->place = outer;
        return;
    }
    mine->place = &here;
    // On our own stack, well below what is in use: an event may come before the hypercall.
    u64 sp;
    asm("movq %%rsp, %0" : "=r"(sp));
    u64* const frame = reinterpret_cast<u64*>((sp & ~u64{15}) - 4096);
    frame[0] = 1;  // rax: what mark_place() returns the second time
    frame[1] = r.next();
    frame[2] = r.next();
    frame[3] = r.one_in(4) ? VGCF_in_syscall : 0;
    frame[4] = here.rip;
    // RPL 3 would be user mode, which we have not.
    frame[5] = (r.one_in(2) ? u64{FLAT_KERNEL_CS} : no_code_selector(r)) & ~u64{3};
    frame[6] = 0x202 | (r.next() & 0xffffffff & ~u64{0x100});
    frame[7] = here.rsp;
    frame[8] = r.one_in(2) ? u64{FLAT_KERNEL_SS} : r.edge();
    // A RIP that cannot be is refused by crashing the domain: only canonical ones.
    if (r.one_in(8)) frame[4] = some_unmapped_address(r);
    note_call(__HYPERVISOR_iret, 0);
    // TF: one step, and our handler takes it away.
    if (r.one_in(16)) frame[6] |= 0x100;
    asm volatile(
        "movq 16(%1), %%rbx\n\t"  // struct Place
        "movq 24(%1), %%rbp\n\t"
        "movq 32(%1), %%r12\n\t"
        "movq 40(%1), %%r13\n\t"
        "movq 48(%1), %%r14\n\t"
        "movq 56(%1), %%r15\n\t"
        "movq %0, %%rsp\n\t"
        "movl $23, %%eax\n\t"
        "syscall\n\t"
        "ud2"
        :
        : "c"(frame), "d"(&here)
        : "memory");
    __builtin_unreachable();
}

void touch_arena(Random& r) {
    const u64 va = some_arena_address(r);
    attempt([&] {
        volatile u64* const p = reinterpret_cast<volatile u64*>(va & ~u64{7});
        // Devices are only looked at, and not even that when they are not ours to disturb.
        const Pte* const leaf = arena_entry(va);
        if (!leaf->present()) {
            static_cast<void>(*p);
            return;
        }
        bool ours = false;
        for (u32 i = 0; i < kPoolPages && !ours; i++)
            ours = pool.mfn[i].load(std::memory_order_relaxed) == leaf->mfn().v;
        if (!ours) return;
        if (r.one_in(2))
            *p = r.one_in(2) ? some_entry(r).v : r.next();
        else
            static_cast<void>(*p);
    });
}

void load_selectors(Random& r) {
    const u64 s = r.one_in(2) ? r.below(64) * 8 + r.below(8) : r.edge();
    attempt([&] {
        switch (r.below(4)) {
            case 0: asm volatile("movl %0, %%ds" : : "r"(static_cast<u32>(s))); break;
            case 1: asm volatile("movl %0, %%es" : : "r"(static_cast<u32>(s))); break;
            case 2: asm volatile("movl %0, %%fs" : : "r"(static_cast<u32>(s))); break;
            default: asm volatile("movl %0, %%gs" : : "r"(static_cast<u32>(s))); break;
        }
    });
}

}  // namespace hostile
