// SPDX-License-Identifier: GPL-2.0-or-later
// Switching vCPUs, and the loads of CPU state that PV hypercalls ask for (port/pv_hw.hpp).
#include <utility>

#include "arch/cpu.hpp"
#include "arch/features.hpp"
#include "arch/insn.hpp"
#include "arch/paging.hpp"
#include "arch/trace.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "core/vcpu_time.hpp"
#include "port/address_space.hpp"
#include "port/context.hpp"
#include "port/guest_entry.hpp"
#include "port/pv_hw.hpp"

extern "C" {
bool load_ds(domus::u16 selector);
bool load_es(domus::u16 selector);
bool load_fs(domus::u16 selector);
bool load_gs(domus::u16 selector);
}

namespace domus {

namespace x86 {
namespace {

constexpr u32 kNoDomain = 0xffff;

void save_vector_state(u8* area) {
    if (features.xsave)
        asm volatile("xsave64 %0" : "=m"(*area) : "a"(~0u), "d"(~0u) : "memory");
    else
        asm volatile("fxsave64 %0" : "=m"(*area) : : "memory");
}
void restore_vector_state(const u8* area) {
    if (features.xsave)
        asm volatile("xrstor64 %0" : : "m"(*area), "a"(~0u), "d"(~0u) : "memory");
    else
        asm volatile("fxrstor64 %0" : : "m"(*area) : "memory");
}

void load_root(Vcpu& v, bool kernel, Tick tick) {
    Mfn l4 = kernel ? v.pv.kernel_table : v.pv.user_table;
    if (v.pv.mirrored) [[unlikely]]
        l4 = core::walked_root(v, l4, kernel);
    load_guest_root(maddr(l4).v, tick);
}

void save_segments(PvVcpu& pv) {
    read_selectors(pv);
    pv.fs_base = rdmsr(kMsrFsBase);
    u64 active = rdmsr(kMsrGsBase), other = rdmsr(kMsrKernelGsBase);
    if (!pv.in_kernel) std::swap(active, other);
    pv.gs_base_kernel = active;
    pv.gs_base_user = other;
}

// Selectors first: loading one sets its base from the descriptor, and the saved base is what counts. False:
// one of them no longer loads.
bool load_segments(const PvVcpu& pv) {
    bool ok = true;
    if (pv.ds != 0) ok &= load_ds(pv.ds);
    if (pv.es != 0) ok &= load_es(pv.es);
    if (pv.fs != 0) ok &= load_fs(pv.fs);
    if (pv.gs != 0) ok &= load_gs(pv.gs);
    if (pv.is_32bit) return ok;  // 32-bit code has no other way to a base than a selector
    wrmsr(kMsrFsBase, pv.fs_base);
    wrmsr(kMsrGsBase, pv.in_kernel ? pv.gs_base_kernel : pv.gs_base_user);
    wrmsr(kMsrKernelGsBase, pv.in_kernel ? pv.gs_base_user : pv.gs_base_kernel);
    return ok;
}

unsigned gdt_pages(const PvVcpu& pv) { return (pv.gdt_entries + 511) / 512; }

void clear_selectors() {
    // The window is about to change under them.
    load_ds(0);
    load_es(0);
    load_fs(0);
    load_gs(0);
}

void unload_windows(const PvVcpu& pv) {
    for (unsigned i = 0; i < gdt_pages(pv); i++) set_gdt_page(i, kNoMfn);
    if (pv.ldt_entries != 0) {
        load_ldt(0);
        for (unsigned i = 0; i < kLdtWindowPages; i++) set_ldt_page(i, kNoMfn);
    }
}

void load_windows(const PvVcpu& pv) {
    for (unsigned i = 0; i < gdt_pages(pv); i++) set_gdt_page(i, pv.gdt_frames[i]);
    if (pv.ldt_entries != 0) load_ldt(pv.ldt_entries);
}

void write_debug_regs(const PvVcpu& pv) {
    write_dr0(pv.debug_regs[0]);
    write_dr1(pv.debug_regs[1]);
    write_dr2(pv.debug_regs[2]);
    write_dr3(pv.debug_regs[3]);
    write_dr6(pv.debug_regs[6]);
    write_dr7(pv.debug_regs[7]);
}

constexpr u64 kDr7Enables = 0xff;

void set_ts(bool on) {
    const u64 cr0 = read_cr0();
    const u64 wanted = on ? cr0 | kCr0Ts : cr0 & ~kCr0Ts;
    if (wanted != cr0) write_cr0(wanted);
}

// RDTSC and RDTSCP fault in guests whose counter is emulated. To the page tables ring 1 is as ring 0, but
// 32-bit kernels do touch their programs' pages, and run code there (a vsyscall page): no guard of ours may
// be on meanwhile.
void set_guest_cr4(CpuState& state, bool emulated_tsc, bool is_32bit) {
    const u64 cr4 = read_cr4();
    u64 wanted = emulated_tsc ? cr4 | kCr4Tsd : cr4 & ~kCr4Tsd;
    if (is_32bit) {
        state.guards_off |= wanted & (kCr4Smep | kCr4Smap);
        wanted &= ~(kCr4Smep | kCr4Smap);
    } else {
        // Only what was on: a CPU may have to run without (traps.cpp).
        wanted |= std::exchange(state.guards_off, 0);
    }
    if (wanted != cr4) write_cr4(wanted);
}

// The flat segments that the guest's width has.
void set_gdt_width(CpuState& state, bool is_32bit) {
    if (state.gdt_is_32bit == is_32bit) [[likely]]
        return;
    state.gdt_is_32bit = is_32bit;
    set_gdt_reserved(is_32bit);
}

void save(Vcpu& v, CpuInfo& info) {
    PvVcpu& pv = v.pv;
    pv.regs = info.regs;
    save_segments(pv);
    set_ts(false);
    // The whole state is saved, whatever the guest has switched on.
    if (features.xsave && pv.xcr0 != features.xcr0) port::load_xcr0(features.xcr0);
    save_vector_state(pv.fpu_area);
    if ((pv.debug_regs[7] & kDr7Enables) != 0) {
        pv.debug_regs[6] = read_dr6();
        write_dr7(0x400);
    }
    clear_selectors();
    unload_windows(pv);
}

void load(Vcpu& v, CpuInfo& info) {
    PvVcpu& pv = v.pv;
    CpuState& state = cpu_state(info.cpu);
    info.regs = pv.regs;
    info.regs.vector = 0;
    info.current = &v;
    state.domain.store(v.domain->id.v, std::memory_order_seq_cst);
    load_root(v, pv.in_kernel, Tick::yes);
    set_gdt_width(state, pv.is_32bit);
    load_windows(pv);
    const bool segments_ok = load_segments(pv);
    restore_vector_state(pv.fpu_area);
    if (features.xsave && pv.xcr0 != features.xcr0) port::load_xcr0(pv.xcr0);
    if (features.tsc_aux) wrmsr(kMsrTscAux, pv.tsc_aux);
    set_guest_cr4(state, v.domain->tsc.emulated, pv.is_32bit);
    if ((pv.cr0 & kCr0Ts) != 0) set_ts(true);
    if ((pv.debug_regs[7] & kDr7Enables) != 0) write_debug_regs(pv);
    if (!segments_ok) upcall::guest_failsafe(v, info.regs);
}

}  // namespace
}  // namespace x86

namespace port {

using namespace x86;

Vcpu* current_vcpu() { return cpu_info()->current; }

void context_switch(Vcpu* prev, Vcpu* next) {
    CpuInfo* info = cpu_info();
    const auto packed = [](const Vcpu* v) {
        return v == nullptr ? kTraceIdle : trace_vcpu(v->domain->id, v->id);
    };
    trace(TraceEvent::switch_vcpus, packed(prev), packed(next));
    if (prev != nullptr) {
        save(*prev, *info);
        if (next == nullptr) {
            info->current = nullptr;
            write_cr3(idle_root().v);
            cpu_state(info->cpu).domain.store(kNoDomain, std::memory_order_seq_cst);
        }
    }
    if (next != nullptr) load(*next, *info);
}

void load_address_space(Vcpu& v) { load_root(v, true, Tick::yes); }

void load_fs_base(u64 base) { wrmsr(kMsrFsBase, base); }
void load_gs_base_kernel(u64 base) { wrmsr(kMsrGsBase, base); }
void load_gs_base_user(u64 base) { wrmsr(kMsrKernelGsBase, base); }

bool load_gs_user_selector(u16 selector) {
    swapgs();
    const bool ok = load_gs(selector);
    swapgs();
    return ok;
}

u64 read_fs_base() { return rdmsr(kMsrFsBase); }
u64 read_gs_base_kernel() { return rdmsr(kMsrGsBase); }
u64 read_gs_base_user() { return rdmsr(kMsrKernelGsBase); }

void load_gdt(Vcpu& v) {
    const unsigned pages = gdt_pages(v.pv);
    for (unsigned i = 0; i < kGdtReservedPage; i++) set_gdt_page(i, i < pages ? v.pv.gdt_frames[i] : kNoMfn);
}

void load_ldt(Vcpu& v) {
    for (unsigned i = 0; i < kLdtWindowPages; i++) set_ldt_page(i, kNoMfn);
    x86::load_ldt(v.pv.ldt_entries);
}

void load_debug_regs(Vcpu& v) { write_debug_regs(v.pv); }

void load_tsc_aux(u32 value) { wrmsr(kMsrTscAux, value); }

void load_xcr0(u64 xcr0) {
    asm volatile("xsetbv" : : "c"(0), "a"(static_cast<u32>(xcr0)), "d"(static_cast<u32>(xcr0 >> 32)));
}

void set_task_switched(Vcpu&, bool set) { set_ts(set); }

void enter_user_mode(Vcpu& v) {
    v.pv.in_kernel = false;
    swapgs();
    load_root(v, false, Tick::no);
}

void enter_kernel_mode(Vcpu& v) {
    v.pv.in_kernel = true;
    swapgs();
    load_root(v, true, Tick::no);
    if (v.areas_stale) [[unlikely]]
        core::refresh_guest_areas(v, port::now());
}

}  // namespace port
}  // namespace domus
