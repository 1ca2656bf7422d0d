// SPDX-License-Identifier: GPL-2.0-or-later
// What happens to a PV guest's exceptions: some the hypervisor answers itself (privileged instructions,
// writes to page tables), the rest enter the guest's own handlers.
#include "abi/xen32.hpp"
#include "arch_state/layout.hpp"
#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/trace.hpp"
#include "core/vcpu.hpp"
#include "port/guest_entry.hpp"
#include "port/guest_memory.hpp"
#include "port/pv_hw.hpp"
#include "pv/bounce.hpp"
#include "pv/emulate.hpp"

namespace domus {

namespace pv {
namespace {

constexpr u32 kIdtError = 1u << 1,
              kExternalError = 1u << 0;  // bits of a selector error code (AMD APM vol. 2, 8.4.1)

bool pushes_error_code(u8 vector) {
    switch (static_cast<Trap>(vector)) {
        case Trap::double_fault:
        case Trap::invalid_tss:
        case Trap::no_segment:
        case Trap::stack_fault:
        case Trap::general_protection:
        case Trap::page_fault:
        case Trap::alignment: return true;
        default: return false;
    }
}

// INT n through a gate of ours that ring 3 may not use: the guest's gate n decides. True if it was one.
template <class G>
bool software_interrupt(Vcpu& v, GuestRegs& regs) {
    if ((regs.error_code & (kIdtError | kExternalError)) != kIdtError) return false;
    // The vector comes from the instruction: emulators have been seen to report it wrongly in the error code.
    u8 code[2];
    if (port::copy_from_guest(code, Vaddr(regs.rip), sizeof code) != 0 || code[0] != 0xcd) return false;
    const TrapGate& gate = v.pv.traps[code[1]];
    const u8 cpl = v.pv.in_kernel ? 1 : 3;
    if (!gate.present() || gate.dpl < cpl) {
        inject_trap_as<G>(v, regs, static_cast<u8>(Trap::general_protection), code[1] * 8u + kIdtError);
        return true;
    }
    regs.rip += 2;
    inject_trap_as<G>(v, regs, code[1], std::nullopt);
    return true;
}

template <class G>
void act(Vcpu& v, GuestRegs& regs, const EmulateResult& result) {
    if (result.action != EmulateResult::Action::inject) return;
    if (result.vector == static_cast<u8>(Trap::page_fault))
        inject_page_fault_as<G>(v, regs, result.error_code, result.address);
    else if (pushes_error_code(result.vector))
        inject_trap_as<G>(v, regs, result.vector, result.error_code);
    else
        inject_trap_as<G>(v, regs, result.vector, std::nullopt);
}

template <class G>
void general_protection(Vcpu& v, GuestRegs& regs) {
    if (software_interrupt<G>(v, regs)) return;
    if (regs.error_code != 0)
        return inject_trap_as<G>(v, regs, static_cast<u8>(Trap::general_protection), regs.error_code);
    core::trace(TRC_PV_EMULATE_PRIVOP | TRC_64_FLAG, regs.rip);
    act<G>(v, regs, emulate_privileged(v, regs));
}

template <class G>
void page_fault(Vcpu& v, GuestRegs& regs, u64 address) {
    constexpr u32 kWriteToPresent = kPfPresent | kPfWrite;
    if (v.pv.mirrored && (regs.error_code & kPfReserved) == 0 && layout::guest_may_access(address))
        [[unlikely]] {
        const auto fault = core::mirror_fault(
            v, Vaddr(address),
            {.write = (regs.error_code & kPfWrite) != 0, .fetch = (regs.error_code & kPfFetch) != 0});
        if (fault == core::MirrorTables::Fault::resolved) return;
        // What the CPU would have said of the guest's own tables.
        regs.error_code &= ~kPfPresent;
        if (fault == core::MirrorTables::Fault::protection) regs.error_code |= kPfPresent;
    }
    if (v.pv.in_kernel && (regs.error_code & (kWriteToPresent | kPfReserved | kPfFetch)) == kWriteToPresent &&
        layout::guest_may_access(address)) {
        const EmulateResult result = emulate_pte_write(v, regs, Vaddr(address));
        if (result.action != EmulateResult::Action::none) return act<G>(v, regs, result);
    }
    core::trace(TRC_PV_PAGE_FAULT | TRC_64_FLAG, regs.rip, address, regs.error_code);
    inject_page_fault_as<G>(v, regs, regs.error_code, address);
}

// An exception that enters the guest's handler: number, whether it has an error code, the code.
void trace_trap(const GuestRegs& regs, u8 vector) {
    const bool has_code = pushes_error_code(vector);
    core::trace(TRC_PV_TRAP | TRC_64_FLAG, u64{regs.rip},
                u32{vector} | (has_code ? 1u << 15 | static_cast<u32>(regs.error_code) << 16 : 0));
}

template <class G>
void trap(Vcpu& v, GuestRegs& regs, u64 fault_address) {
    const u8 vector = static_cast<u8>(regs.vector);
    switch (static_cast<Trap>(vector)) {
        case Trap::page_fault: return page_fault<G>(v, regs, fault_address);
        case Trap::general_protection: return general_protection<G>(v, regs);
        case Trap::invalid_opcode: {
            const EmulateResult result = emulate_forced(v, regs);
            if (result.action != EmulateResult::Action::none) return act<G>(v, regs, result);
            return inject_trap_as<G>(v, regs, vector, std::nullopt);
        }
        case Trap::no_device:
            trace_trap(regs, vector);
            // The guest asked for this fault (fpu_taskswitch); the ABI clears its TS on the way.
            v.pv.cr0 &= ~u64{1u << 3};
            port::set_task_switched(v, false);
            return inject_trap_as<G>(v, regs, vector, std::nullopt);
        case Trap::debug:
            trace_trap(regs, vector);
            v.pv.debug_regs[6] = fault_address;
            return inject_trap_as<G>(v, regs, vector, std::nullopt);
        default:
            trace_trap(regs, vector);
            return inject_trap_as<G>(
                v, regs, vector, pushes_error_code(vector) ? std::optional(regs.error_code) : std::nullopt);
    }
}

// The gate by which ring 1 makes hypercalls: rings further out fault there.
constexpr u32 kHypercallVector = 0x82;

}  // namespace
}  // namespace pv

namespace upcall {

void guest_trap(Vcpu& v, GuestRegs& regs, u64 fault_address) {
    if (!v.pv.is_32bit) [[likely]]
        return pv::trap<pv::Guest64>(v, regs, fault_address);
    // Its kernel and its programs change places without us.
    v.pv.in_kernel = (regs.cs & 3) == 1;
    if (regs.vector == pv::kHypercallVector) return guest_hypercall32(v, regs);
    pv::trap<pv::Guest32>(v, regs, fault_address);
}

void guest_user_syscall(Vcpu& v, GuestRegs& regs) {
    pv::bounce_as<pv::Guest64>(v, regs,
                               {.rip = v.pv.syscall_callback, .masks_events = v.pv.syscall_masks_events});
}

namespace {
// Entry code has put the selectors of 64-bit guests' 32-bit programs into the frame: the instructions keep
// none.
void name_segments(const Vcpu& v, GuestRegs& regs) {
    if (!v.pv.is_32bit) return;
    regs.cs = abi32::kUserCs;
    regs.ss = abi32::kUserDs;
}
}  // namespace

void guest_syscall32(Vcpu& v, GuestRegs& regs) {
    constexpr u64 kInstruction = 2;  // bytes
    name_segments(v, regs);
    if (v.pv.syscall32_callback == 0) {
        // As if SYSCALL did not exist in 32-bit code.
        regs.rip = static_cast<u32>(regs.rip - kInstruction);
        return pv::inject_trap(v, regs, static_cast<u8>(Trap::invalid_opcode), std::nullopt);
    }
    pv::bounce(v, regs,
               {.rip = v.pv.syscall32_callback,
                .cs = v.pv.syscall32_cs,
                .masks_events = v.pv.syscall32_masks_events});
}

void guest_sysenter(Vcpu& v, GuestRegs& regs) {
    name_segments(v, regs);
    // A kernel has no use for it: it could not tell where to return to either. (Of a 32-bit one nobody
    // knows.)
    if (v.pv.sysenter_callback == 0 || (v.pv.in_kernel && !v.pv.is_32bit))
        return pv::inject_trap(v, regs, static_cast<u8>(Trap::general_protection), 0);
    pv::bounce(
        v, regs,
        {.rip = v.pv.sysenter_callback, .cs = v.pv.sysenter_cs, .masks_events = v.pv.sysenter_masks_events});
}

void guest_failsafe(Vcpu& v, GuestRegs& regs) {
    // A 32-bit guest chooses the segments of its handlers. If this one cannot be entered either, nothing can.
    // Handlers are in ring 1; a program may run at the same offset of a segment of its own.
    if (v.pv.is_32bit && (regs.cs & 3) == 1 && regs.rip == v.pv.failsafe_callback) {
        guest_log(Level::error,
                  "d{}v{}: the failsafe handler at {:x}:{:x} cannot be entered: the domain is crashed",
                  v.domain->id, v.id, regs.cs, regs.rip);
        return port::crash_current_domain(v);
    }
    pv::bounce(v, regs,
               {.rip = v.pv.failsafe_callback,
                .cs = v.pv.failsafe_cs,
                .masks_events = v.pv.failsafe_masks_events,
                .selectors = true});
}

void deliver_events(Vcpu& v, GuestRegs& regs) {
    pv::bounce(v, regs, {.rip = v.pv.event_callback, .cs = v.pv.event_cs, .masks_events = true});
}

}  // namespace upcall
}  // namespace domus
