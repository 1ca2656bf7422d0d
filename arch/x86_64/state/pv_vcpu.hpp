// SPDX-License-Identifier: GPL-2.0-or-later
// What a PV vCPU is beyond its general registers: the state that the PV hypercalls set and that entry
// and exit code uses. Offsets that entry code relies on are checked in arch/x86_64/offsets.cpp.
#pragma once

#include <array>

#include "arch_state/regs.hpp"
#include "base/types.hpp"

namespace domus {

// A handler of the guest's, one row of its virtual IDT (public arch-x86/xen.h, struct trap_info).
struct TrapGate {
    u64 rip = 0;
    u16 cs = 0;
    u8 dpl = 0;                 // software interrupts from a lower privilege than this are refused
    bool masks_events = false;  // the handler starts with event delivery masked
    bool present() const { return cs != 0; }
};

struct PvVcpu {
    GuestRegs regs{};  // saved while the vCPU is not on a CPU

    // Guest kernel or guest user mode. Of a 64-bit guest both run in ring 3, on different L4 tables; a 32-bit
    // guest's kernel runs in ring 1 and needs no hypervisor to change between them, so that for one this is
    // true only where the hypervisor has just looked.
    bool in_kernel = true;
    bool is_32bit = false;  // as its domain

    // Entry points (callback_op, or the initial context).
    u64 event_callback = 0, failsafe_callback = 0, syscall_callback = 0;
    u64 nmi_callback = 0;
    // Their segments in a 32-bit guest. 0: the ABI's flat one.
    u16 event_cs = 0, failsafe_cs = 0, nmi_cs = 0, syscall32_cs = 0, sysenter_cs = 0;
    bool failsafe_masks_events = false, syscall_masks_events = false;
    // System calls of 32-bit processes (CALLBACKTYPE_syscall32, _sysenter); 0: none registered.
    u64 syscall32_callback = 0, sysenter_callback = 0;
    bool syscall32_masks_events = false, sysenter_masks_events = false;
    u64 kernel_ss = 0, kernel_sp = 0;
    TrapGate* traps = nullptr;  // 256 rows, allocated with the vCPU

    // Address spaces: frames of type L4, each held by a type reference of this vCPU; kNoMfn if none.
    Mfn kernel_table = kNoMfn, user_table = kNoMfn;
    // A 32-bit guest's table is of level 3 and held here; kernel_table and user_table are then the vCPU's own
    // level 4 table, a page of the hypervisor's whose first entry leads there.
    Mfn pae_table = kNoMfn;
    // A table that this vCPU has replaced and whose taking apart was preempted: its references are still to
    // be given up (pv/mmu_rules.hpp).
    Mfn retiring_table = kNoMfn;
    // The CPU walks mirrors of these tables (core/mirror_tables.hpp). Changes only while the vCPU is on no
    // CPU.
    bool mirrored = false;

    // Segment state that is not in the frame. gs_base_user/kernel: the base in the mode the name says.
    u64 fs_base = 0, gs_base_kernel = 0, gs_base_user = 0;
    u16 ds = 0, es = 0, fs = 0, gs = 0;

    // Descriptor tables: frames of type descriptor page, held by type references.
    std::array<Mfn, 14> gdt_frames{};
    u32 gdt_entries = 0;
    u64 ldt_base = 0;
    u32 ldt_entries = 0;
    // The LDT's pages in use, each held by a type reference; bit n of ldt_held says that page n is.
    std::array<Mfn, 16> ldt_frames{};
    u32 ldt_held = 0;

    // Control registers as the guest sees them.
    u64 cr0 = 0, cr2 = 0, cr4 = 0;
    u32 iopl = 0;  // 0 to 3; the ABI's set_iopl
    std::array<u64, 8> debug_regs{};
    // I/O port permission bitmap of PHYSDEVOP_set_iobitmap (0: none).
    u64 iobmp_address = 0;
    u32 iobmp_limit = 0;

    // Vector state: an XSAVE area of the CPU's size, 64-byte aligned: what the registers hold while the
    // vCPU is on no CPU. A CPU without XSAVE has the 512 bytes of FXSAVE: no header follows them.
    u8* fpu_area = nullptr;
    u32 fpu_bytes = 0;
    u64 xcr0 = 1;
    u32 tsc_aux = 0;  // what RDTSCP and RDPID read beside the counter

    bool in_nmi = false;  // the guest has taken an NMI and not returned from it: no other before the iret
};

}  // namespace domus
