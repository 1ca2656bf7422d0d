// SPDX-License-Identifier: GPL-2.0-or-later
// Making and loading the per-CPU areas.
#include "arch/cpu_area.hpp"

#include "arch/features.hpp"
#include "arch/idt.hpp"
#include "arch/insn.hpp"
#include "arch/machine_check.hpp"
#include "arch/paging.hpp"
#include "arch_state/cpu_info.hpp"
#include "arch_state/offsets.hpp"
#include "mm/heap.hpp"
#include "port/cpu.hpp"
#include "port/memory.hpp"

extern "C" {
extern const char syscall_stub[], syscall32_stub[], syscall_stub_end[], sysenter_entry[];
}

namespace domus::x86 {

namespace {

// 64-bit task state segment (AMD APM vol. 2, 12.2.5). The I/O permission base lies beyond the limit: no port
// is open to ring 3.
struct [[gnu::packed]] Tss {
    u32 reserved0 = 0;
    u64 rsp[3] = {};
    u64 reserved1 = 0;
    u64 ist[7] = {};
    u64 reserved2 = 0;
    u16 reserved3 = 0;
    u16 iobase = 104;
};
static_assert(sizeof(Tss) == 104);

// System descriptor types (AMD APM vol. 2, 4.8.3).
constexpr u8 kTypeLdt = 0x2, kTypeAvailableTss = 0x9;

struct [[gnu::packed]] TablePointer {
    u16 limit;
    u64 base;
};

u64* reserved_gdt(CpuId cpu) {
    return reinterpret_cast<u64*>(cpu_area(cpu) + kAreaGdt + kGdtReservedPage * kPageSize);
}

u64& descriptor(u64* gdt, u16 selector) { return gdt[(selector >> 3) & (kPageSize / 8 - 1)]; }

void put_system_descriptor(u64* gdt, u16 selector, u64 base, u32 limit, u8 type) {
    u64* d = &descriptor(gdt, selector);
    d[1] = base >> 32;
    d[0] = (limit & 0xffffu) | (base & 0xffffffu) << 16 | u64{type} << 40 | u64{1} << 47 |
           u64{limit & 0xf0000u} << 32 | (base >> 24 & 0xff) << 56;
}

Result<> map_new_pages(u64 va, u64 pages, u64 flags) {
    for (u64 i = 0; i < pages; i++) {
        const Mfn m = TRY(alloc_frames(0));
        __builtin_memset(port::frame_ptr(m), 0, kPageSize);
        TRY(map_page(va + i * kPageSize, m, flags));
    }
    return {};
}

CpuInfo* cpu_info_at(CpuId cpu) { return reinterpret_cast<CpuInfo*>(stack_top(cpu) - sizeof(CpuInfo)); }

// One copy of the SYSCALL stub serves all CPUs.
Result<Mfn> stub_frame() {
    static constinit Mfn frame = kNoMfn;
    if (frame == kNoMfn) {
        frame = TRY(alloc_frames(0));
        __builtin_memset(port::frame_ptr(frame), 0xcc, kPageSize);
        __builtin_memcpy(port::frame_ptr(frame), syscall_stub,
                         static_cast<usize>(syscall_stub_end - syscall_stub));
    }
    return frame;
}

// What the window on a guest's descriptor table shows where that has no page: descriptors of zero. Loading
// one is a general protection fault, as beyond the end of any table; with no page there at all it would be a
// page fault, at an address of ours.
constinit Mfn empty_gdt_frame = kNoMfn;
constexpr u64 kEmptyGdtFlags = kHvFlags & ~(Pte::kGlobal | Pte::kWritable | Pte::kDirty);

Result<> map_empty_gdt(u64 window) {
    if (empty_gdt_frame == kNoMfn) {
        empty_gdt_frame = TRY(alloc_frames(0));
        __builtin_memset(port::frame_ptr(empty_gdt_frame), 0, kPageSize);
    }
    for (unsigned i = 0; i < kGdtWindowPages; i++)
        if (i != kGdtReservedPage) TRY(map_page(window + i * kPageSize, empty_gdt_frame, kEmptyGdtFlags));
    return {};
}

}  // namespace

Result<> create_cpu_area(CpuId cpu) {
    const u64 area = cpu_area(cpu);
    TRY(map_new_pages(area + 0x1000, 2, kHvFlags));
    TRY(map_new_pages(area + 0x4000, 2, kHvFlags));
    TRY(map_new_pages(area + 0x7000, 2, kHvFlags));
    TRY(map_new_pages(area + 0xa000, 1, kHvFlags));
    TRY(map_new_pages(area + 0xc000, 4, kHvFlags));
    TRY(map_new_pages(area + kAreaGdt + kGdtReservedPage * kPageSize, 1, kHvFlags));
    TRY(map_new_pages(area + kAreaTss, 1, kHvFlags));
    TRY(map_new_pages(area + kAreaTrace, 1, kHvFlags));
    TRY(map_new_pages(area + kAreaGdt32, 1, kHvFlags));
    const Mfn gdt64 = find_pte(area + kAreaGdt + kGdtReservedPage * kPageSize)->mfn();
    TRY(map_page(area + kAreaGdt64, gdt64, kHvFlags));
    const Mfn stub = TRY(stub_frame());
    TRY(map_page(area + kAreaStub, stub, kHvExecute));
    TRY(map_empty_gdt(area + kAreaGdt));
    // The L1 table behind the other window, so that changing an entry later never allocates.
    TRY(map_page(area + kAreaLdt, kNoMfn, 0));

    CpuInfo* info = cpu_info_at(cpu);
    info->cpu = cpu;

    auto* tss = new (reinterpret_cast<void*>(area + kAreaTss)) Tss;
    tss->rsp[0] = reinterpret_cast<u64>(&info->regs + 1);
    // Each stack lies below a page that is not mapped, but for CpuInfo's place: cpu_info() only masks RSP, so
    // a stack's top needs no block of its own.
    tss->ist[kIstDoubleFault - 1] = area + 0x3000;
    tss->ist[kIstNmi - 1] = area + 0x6000;
    tss->ist[kIstMachineCheck - 1] = area + 0x9000;
    tss->ist[kIstDebug - 1] = area + 0xb000;

    u64* gdt = reserved_gdt(cpu);
    descriptor(gdt, SEL_HV_CS) = 0x00af9b000000ffff;       // code, 64-bit, ring 0
    descriptor(gdt, SEL_HV_DS) = 0x00cf93000000ffff;       // data, ring 0
    descriptor(gdt, SEL_GUEST_CS32) = 0x00cffb000000ffff;  // code, 32-bit, ring 3
    descriptor(gdt, SEL_GUEST_DS) = 0x00cff3000000ffff;    // data, ring 3
    descriptor(gdt, SEL_GUEST_CS64) = 0x00affb000000ffff;  // code, 64-bit, ring 3
    put_system_descriptor(gdt, SEL_TSS, area + kAreaTss, sizeof(Tss) - 1, kTypeAvailableTss);

    // No 64-bit code for rings above 0: see pv_descriptor32() in mm/descriptor.hpp.
    auto* gdt32 = reinterpret_cast<u64*>(area + kAreaGdt32);
    __builtin_memcpy(gdt32, gdt, kPageSize);
    descriptor(gdt32, SEL_GUEST32_KERNEL_CS) = 0x00cfbb000000ffff;  // code, 32-bit, ring 1
    descriptor(gdt32, SEL_GUEST32_KERNEL_DS) = 0x00cfb3000000ffff;  // data, ring 1
    descriptor(gdt32, SEL_GUEST32_USER_CS) = 0x00cffb000000ffff;    // code, 32-bit, ring 3
    descriptor(gdt32, SEL_GUEST32_USER_DS) = 0x00cff3000000ffff;    // data, ring 3
    return {};
}

void load_cpu_tables(CpuId cpu) {
    const TablePointer gdt{kGdtWindowPages * kPageSize - 1, cpu_area(cpu) + kAreaGdt};
    asm volatile(
        "lgdt %0\n\t"
        "pushq %1\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "lretq\n"
        "1:\n\t"
        "movl %2, %%ss\n\t"
        "movl %3, %%ds\n\t"
        "movl %3, %%es\n\t"
        "movl %3, %%fs\n\t"
        "movl %3, %%gs\n\t"
        "ltr %w4\n\t"
        "lldt %w3"
        :
        : "m"(gdt), "i"(SEL_HV_CS), "r"(SEL_HV_DS), "r"(0), "r"(SEL_TSS)
        : "rax", "memory");
    load_idt();
    enable_machine_checks();
    wrmsr(kMsrStar, u64{SEL_GUEST_CS32} << 48 | u64{SEL_HV_CS} << 32);
    wrmsr(kMsrLstar, cpu_area(cpu) + kAreaStub);
    wrmsr(kMsrCstar, cpu_area(cpu) + kAreaStub + static_cast<u64>(syscall32_stub - syscall_stub));
    // Where SYSENTER works in long mode. Elsewhere its MSRs stay 0, and it faults.
    if (features.sysenter) {
        wrmsr(kMsrSysenterEsp, reinterpret_cast<u64>(&cpu_info_at(cpu)->regs + 1));
        wrmsr(kMsrSysenterEip, reinterpret_cast<u64>(sysenter_entry));
        wrmsr(kMsrSysenterCs, SEL_HV_CS);
    }
    wrmsr(kMsrSfmask, kFlagTf | kFlagIf | kFlagDf | kFlagIopl | kFlagNt | kFlagRf | kFlagVm | kFlagAc);
    enable_cpu_features();
}

void set_gdt_page(unsigned page, Mfn frame) {
    const u64 va = cpu_area(port::this_cpu()) + kAreaGdt + page * kPageSize;
    *find_pte(va) =
        frame == kNoMfn ? Pte(empty_gdt_frame, kEmptyGdtFlags) : Pte(frame, kHvFlags & ~Pte::kGlobal);
    invlpg(va);
}

void set_ldt_page(unsigned page, Mfn frame) {
    const u64 va = cpu_area(port::this_cpu()) + kAreaLdt + page * kPageSize;
    *find_pte(va) = frame == kNoMfn ? Pte() : Pte(frame, kHvFlags & ~Pte::kGlobal);
    invlpg(va);
}

void set_gdt_reserved(bool is_32bit) {
    const u64 page = cpu_area(port::this_cpu()) + (is_32bit ? kAreaGdt32 : kAreaGdt64);
    set_gdt_page(kGdtReservedPage, find_pte(page)->mfn());
}

bool in_ldt_window(u64 va, CpuId cpu) {
    return va - (cpu_area(cpu) + kAreaLdt) < kLdtWindowPages * kPageSize;
}

void load_ldt(u32 entries) {
    const CpuId cpu = port::this_cpu();
    if (entries == 0) {
        asm volatile("lldt %w0" : : "r"(0));
        return;
    }
    put_system_descriptor(reserved_gdt(cpu), SEL_LDT, cpu_area(cpu) + kAreaLdt, entries * 8 - 1, kTypeLdt);
    asm volatile("lldt %w0" : : "r"(SEL_LDT));
}

}  // namespace domus::x86
