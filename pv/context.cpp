// SPDX-License-Identifier: GPL-2.0-or-later
// Installing a vCPU's context.
#include "pv/context.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/domain.hpp"
#include "mm/heap.hpp"
#include "pv/address.hpp"
#include "pv/context32.hpp"
#include "pv/debug_regs.hpp"
#include "pv/gdt.hpp"
#include "pv/guest_cr2.hpp"
#include "pv/ldt.hpp"
#include "pv/mmu_rules.hpp"
#include "pv/page_hold.hpp"
#include "pv/traps.hpp"
#include "pv/vector_state.hpp"

namespace domus::pv {

namespace {

// Control registers (AMD APM vol. 2, 3.1). What a guest sees of CR0 is fixed but for TS.
constexpr u64 kCr0Fixed = 0x80050033;  // PG, AM, WP, NE, ET, MP, PE
constexpr u64 kCr0TaskSwitched = 1u << 3;
constexpr u64 kCr4OfGuest = 0x0077efff;  // a guest's wish is its view; the register is not its own

// The flags a guest's RFLAGS may have; the others belong to the hypervisor (see pv/iret.cpp).
constexpr u64 kForeignFlags = kFlagIopl | kFlagNt | kFlagVm | kFlagVif | kFlagVip | 0xffffffff00000000u;

constexpr usize kLegacyVectorState = 512;  // the FXSAVE image at the start of an XSAVE area
constexpr usize kVectorHeader = 64;        // … and what follows it there

// The new context's page tables, given back unless they are taken over.
struct Holds {
    Vcpu& vcpu;
    Mfn kernel = kNoMfn, user = kNoMfn;
    Mfn pae_root = kNoMfn;  // of a 32-bit guest: the hypervisor's own page

    explicit Holds(Vcpu& v) : vcpu(v) {}
    Holds(const Holds&) = delete;
    Holds& operator=(const Holds&) = delete;
    ~Holds() {
        if (user != kNoMfn) release_typed(user, PageType::l4);
        if (kernel != kNoMfn) retire(kernel);
        if (pae_root != kNoMfn) free_frames(pae_root, 0);
    }
    // A table may have all of the domain's memory below it: what cannot be taken apart at once is left to the
    // vCPU.
    void retire(Mfn table) {
        if (vcpu.pv.retiring_table != kNoMfn) return release_typed(table, PageType::l4);
        Frame& f = frame_of(table);
        if (put_page_type(f, Preempt::yes))
            put_ref(f);
        else
            vcpu.pv.retiring_table = table;
    }
    Result<> take_table(const Domain& d, Mfn& held, Mfn table) {
        TRY(hold_typed(d, table, root_type(d.is_32bit), Preempt::yes));
        held = table;
        return {};
    }
};

// The new descriptor table's pages, likewise.
struct HeldGdt {
    GdtFrames frames;

    explicit HeldGdt(const GdtFrames& held) : frames(held) {}
    HeldGdt(const HeldGdt&) = delete;
    HeldGdt& operator=(const HeldGdt&) = delete;
    ~HeldGdt() { release_gdt_frames(frames); }
    GdtFrames take() { return std::exchange(frames, GdtFrames{}); }
};

Mfn table_of(unsigned long cr3) { return Mfn(xen_cr3_to_pfn(cr3)); }

u16 selector(const PvVcpu& pv, u16 s) { return s > 3 ? guest_selector(pv.is_32bit, s) : u16{0}; }

void set_registers(PvVcpu& pv, const cpu_user_regs_t& r) {
    GuestRegs& g = pv.regs;
    g = {};
    g.r15 = r.r15, g.r14 = r.r14, g.r13 = r.r13, g.r12 = r.r12;
    g.r11 = r.r11, g.r10 = r.r10, g.r9 = r.r9, g.r8 = r.r8;
    g.rbp = r.rbp, g.rbx = r.rbx, g.rax = r.rax, g.rcx = r.rcx, g.rdx = r.rdx, g.rsi = r.rsi, g.rdi = r.rdi;
    g.rip = r.rip, g.rsp = r.rsp;
    g.cs = guest_selector(pv.is_32bit, r.cs);
    g.ss = guest_selector(pv.is_32bit, r.ss);
    g.rflags = (r.rflags & ~kForeignFlags) | kFlagIf | kFlagFixed;
    pv.iopl = static_cast<u32>((r.rflags & kFlagIopl) >> 12);
    pv.ds = selector(pv, r.ds), pv.es = selector(pv, r.es), pv.fs = selector(pv, r.fs),
    pv.gs = selector(pv, r.gs);
}

void get_registers(const PvVcpu& pv, cpu_user_regs_t& r) {
    const GuestRegs& g = pv.regs;
    r.r15 = g.r15, r.r14 = g.r14, r.r13 = g.r13, r.r12 = g.r12;
    r.r11 = g.r11, r.r10 = g.r10, r.r9 = g.r9, r.r8 = g.r8;
    r.rbp = g.rbp, r.rbx = g.rbx, r.rax = g.rax, r.rcx = g.rcx, r.rdx = g.rdx, r.rsi = g.rsi, r.rdi = g.rdi;
    r.rip = g.rip, r.rsp = g.rsp;
    r.cs = static_cast<u16>(g.cs);
    r.ss = static_cast<u16>(g.ss);
    r.rflags = (g.rflags & ~kForeignFlags) | u64{pv.iopl} << 12;
    r.ds = pv.ds, r.es = pv.es, r.fs = pv.fs, r.gs = pv.gs;
}

void set_vector_state(PvVcpu& pv, const vcpu_guest_context_t& c) {
    if (pv.fpu_area == nullptr || (c.flags & VGCF_i387_valid) == 0) return;
    std::memcpy(pv.fpu_area, &c.fpu_ctxt, kLegacyVectorState);
    // Reserved bits of MXCSR (offset 24) would make the restore fault.
    u32 mxcsr;
    std::memcpy(&mxcsr, pv.fpu_area + 24, sizeof mxcsr);
    mxcsr &= kMxcsrMask;
    std::memcpy(pv.fpu_area + 24, &mxcsr, sizeof mxcsr);
    // In the XSAVE header that follows, if one does: x87 and SSE state are present.
    if (pv.fpu_bytes < kLegacyVectorState + kVectorHeader) return;
    u64 present;
    std::memcpy(&present, pv.fpu_area + kLegacyVectorState, sizeof present);
    present |= 3;
    std::memcpy(pv.fpu_area + kLegacyVectorState, &present, sizeof present);
}

}  // namespace

Result<> check_context(const vcpu_guest_context_t& c, bool is_32bit) {
    const u64 addresses[] = {c.user_regs.rip,
                             c.event_callback_eip,
                             c.failsafe_callback_eip,
                             is_32bit ? 0 : c.syscall_callback_eip,  // selectors: pv/context32.hpp
                             c.fs_base,
                             c.gs_base_kernel,
                             c.gs_base_user};
    for (const u64 a : addresses) {
        if (!canonical(a)) return fail(Error::inval);
    }
    for (const trap_info_t& t : c.trap_ctxt) {
        if (!canonical(t.address)) return fail(Error::inval);
    }
    if (c.gdt_ents > kGuestGdtEntries || c.ldt_ents > kMaxLdtEntries) return fail(Error::inval);
    if (c.ldt_ents != 0 && (c.ldt_base % kPageSize != 0 || !guest_address(c.ldt_base))) {
        return fail(Error::inval);
    }
    if (!is_32bit && (c.flags & VGCF_in_kernel) == 0 && c.ctrlreg[1] == 0) return fail(Error::inval);
    return {};
}

Result<> drop_context(Vcpu& v) {
    drop_gdt(v.pv);
    release_ldt(v);
    v.pv.ldt_entries = 0;
    return drop_tables(v);
}

Result<> set_context(Vcpu& v, const vcpu_guest_context_t& c) {
    const Domain& d = *v.domain;
    TRY(check_context(c, d.is_32bit));

    // What can fail, and what takes long, first; each page held is given back if a later one is refused. The
    // vCPU changes only after all of that. Tables come last: to give them back may take long.
    TRY(finish_retiring(v));
    std::array<Mfn, kGuestGdtPages> frames;
    const auto pages = static_cast<u32>((c.gdt_ents + kDescriptorsPerPage - 1) / kDescriptorsPerPage);
    for (u32 i = 0; i < pages; i++) frames[i] = Mfn(c.gdt_frames[i]);
    const GdtFrames held_frames =
        TRY(hold_gdt_frames(d, std::span(frames).first(pages), static_cast<u32>(c.gdt_ents)));
    HeldGdt gdt(held_frames);
    Holds holds(v);
    TRY(holds.take_table(d, holds.kernel, table_of(c.ctrlreg[3])));
    if (d.is_32bit) {
        holds.pae_root = TRY(make_pae_root());
    } else if (c.ctrlreg[1] != 0) {
        TRY(holds.take_table(d, holds.user, table_of(c.ctrlreg[1])));
    }
    // A context that replaces another (domctl) lets go of the old one's pages.
    TRY(drop_context(v));

    PvVcpu& pv = v.pv;
    if (pv.is_32bit) {
        pv.pae_table = std::exchange(holds.kernel, kNoMfn);
        pv.kernel_table = pv.user_table = std::exchange(holds.pae_root, kNoMfn);
        point_pae_root(pv);
    } else {
        pv.kernel_table = std::exchange(holds.kernel, kNoMfn);
        pv.user_table = std::exchange(holds.user, kNoMfn);
        show_m2p(pv.kernel_table);
    }
    if (!pv.is_32bit && pv.user_table != kNoMfn && table_rules(d, Preempt::no).m2p_strict)
        hide_m2p(pv.user_table);
    const GdtFrames table = gdt.take();
    pv.gdt_frames = table.frames;
    pv.gdt_entries = table.entries;
    pv.ldt_entries = static_cast<u32>(c.ldt_ents);
    pv.ldt_base = c.ldt_ents != 0 ? c.ldt_base : 0;

    set_registers(pv, c.user_regs);
    set_vector_state(pv, c);
    pv.in_kernel = pv.is_32bit ? (pv.regs.cs & 3) == 1 : (c.flags & VGCF_in_kernel) != 0;

    clear_traps(pv);
    for (const trap_info_t& t : c.trap_ctxt) {
        // Rows of the table that the guest left out are all zero, and would take vector 0 away.
        if (t.address != 0) static_cast<void>(set_trap(pv, t));
    }
    if (pv.is_32bit) {
        const CallbackSelectors s = unpack_selectors(c.syscall_callback_eip);
        static_cast<void>(
            set_callbacks32(pv, s.event, c.event_callback_eip, s.failsafe, c.failsafe_callback_eip));
    } else {
        static_cast<void>(
            set_callbacks(pv, c.event_callback_eip, c.failsafe_callback_eip, c.syscall_callback_eip));
    }
    pv.failsafe_masks_events = (c.flags & VGCF_failsafe_disables_events) != 0;
    pv.syscall_masks_events = (c.flags & VGCF_syscall_disables_events) != 0;
    set_kernel_stack(pv, c.kernel_ss, c.kernel_sp);

    pv.fs_base = c.fs_base;
    pv.gs_base_kernel = c.gs_base_kernel;
    pv.gs_base_user = c.gs_base_user;

    pv.cr0 = kCr0Fixed | (c.ctrlreg[0] & kCr0TaskSwitched);
    pv.cr2 = 0;
    pv.cr4 = (pv.cr4 & ~kCr4OfGuest) | (c.ctrlreg[4] & kCr4OfGuest);
    pv.debug_regs = {};
    // A debug register that the guest may not have stays clear; a context is not refused for it.
    for (u32 i = 0; i < 8; i++) {
        if (i != 4 && i != 5) static_cast<void>(set_debug_reg(pv, i, c.debugreg[i]));
    }
    return {};
}

void get_context(const Vcpu& v, vcpu_guest_context_t& c) {
    const PvVcpu& pv = v.pv;
    std::memset(static_cast<void*>(&c), 0, sizeof c);
    if (pv.fpu_area != nullptr) {
        std::memcpy(&c.fpu_ctxt, pv.fpu_area, kLegacyVectorState);
        c.flags |= VGCF_i387_valid;
    }
    if (pv.is_32bit ? (pv.regs.cs & 3) == 1 : pv.in_kernel) c.flags |= VGCF_in_kernel;
    if (pv.failsafe_masks_events) c.flags |= VGCF_failsafe_disables_events;
    if (pv.syscall_masks_events) c.flags |= VGCF_syscall_disables_events;
    get_registers(pv, c.user_regs);
    for (u32 i = 0; i < kTrapCount; i++) {
        const TrapGate& gate = pv.traps[i];
        if (!gate.present()) continue;
        c.trap_ctxt[i] = {.vector = static_cast<u8>(i),
                          .flags = static_cast<u8>(gate.dpl | (gate.masks_events ? 4 : 0)),
                          .cs = gate.cs,
                          .address = gate.rip};
    }
    c.ldt_base = pv.ldt_base;
    c.ldt_ents = pv.ldt_entries;
    c.gdt_ents = pv.gdt_entries;
    for (u32 i = 0; i * kDescriptorsPerPage < pv.gdt_entries; i++) c.gdt_frames[i] = pv.gdt_frames[i].v;
    c.kernel_ss = pv.kernel_ss;
    c.kernel_sp = pv.kernel_sp;
    c.ctrlreg[0] = pv.cr0;
    c.ctrlreg[2] = guest_cr2(v);
    const Mfn root = pv.is_32bit ? pv.pae_table : pv.kernel_table;
    c.ctrlreg[3] = root != kNoMfn ? xen_pfn_to_cr3(root.v) : 0;
    c.ctrlreg[1] = !pv.is_32bit && pv.user_table != kNoMfn ? xen_pfn_to_cr3(pv.user_table.v) : 0;
    c.ctrlreg[4] = pv.cr4;
    for (u32 i = 0; i < 8; i++) c.debugreg[i] = pv.debug_regs[i];
    c.event_callback_eip = pv.event_callback;
    c.failsafe_callback_eip = pv.failsafe_callback;
    c.syscall_callback_eip =
        pv.is_32bit ? pack_selectors({pv.event_cs, pv.failsafe_cs}) : pv.syscall_callback;
    c.vm_assist = v.domain->vm_assist;
    c.fs_base = pv.fs_base;
    c.gs_base_kernel = pv.gs_base_kernel;
    c.gs_base_user = pv.gs_base_user;
}

}  // namespace domus::pv
