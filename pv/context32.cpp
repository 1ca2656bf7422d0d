// SPDX-License-Identifier: GPL-2.0-or-later
#include "pv/context32.hpp"

#include <cstring>

namespace domus::pv {

namespace {

// Calls f(field of one, field of the other) for what differs in nothing but width.
template <class Narrow, class Wide, class F>
void each_field(Narrow& n, Wide& w, F&& f) {
    f(n.flags, w.flags);
    auto& nr = n.user_regs;
    auto& wr = w.user_regs;
    f(nr.ebx, wr.rbx), f(nr.ecx, wr.rcx), f(nr.edx, wr.rdx), f(nr.esi, wr.rsi), f(nr.edi, wr.rdi);
    f(nr.ebp, wr.rbp), f(nr.eax, wr.rax), f(nr.eip, wr.rip), f(nr.esp, wr.rsp), f(nr.eflags, wr.rflags);
    f(nr.cs, wr.cs), f(nr.ss, wr.ss), f(nr.ds, wr.ds), f(nr.es, wr.es), f(nr.fs, wr.fs), f(nr.gs, wr.gs);
    for (unsigned i = 0; i < 256; i++) {
        f(n.trap_ctxt[i].vector, w.trap_ctxt[i].vector);
        f(n.trap_ctxt[i].flags, w.trap_ctxt[i].flags);
        f(n.trap_ctxt[i].cs, w.trap_ctxt[i].cs);
        f(n.trap_ctxt[i].address, w.trap_ctxt[i].address);
    }
    f(n.ldt_base, w.ldt_base), f(n.ldt_ents, w.ldt_ents), f(n.gdt_ents, w.gdt_ents);
    for (unsigned i = 0; i < 16; i++) f(n.gdt_frames[i], w.gdt_frames[i]);
    f(n.kernel_ss, w.kernel_ss), f(n.kernel_sp, w.kernel_sp);
    for (unsigned i = 0; i < 8; i++) f(n.debugreg[i], w.debugreg[i]);
    f(n.ctrlreg[0], w.ctrlreg[0]), f(n.ctrlreg[2], w.ctrlreg[2]), f(n.ctrlreg[4], w.ctrlreg[4]);
    f(n.event_callback_eip, w.event_callback_eip), f(n.failsafe_callback_eip, w.failsafe_callback_eip);
    f(n.vm_assist, w.vm_assist);
}

}  // namespace

void widen_context(const vcpu_guest_context_x86_32& from, vcpu_guest_context_t& to) {
    std::memset(static_cast<void*>(&to), 0, sizeof to);
    std::memcpy(&to.fpu_ctxt, &from.fpu_ctxt, sizeof to.fpu_ctxt);
    each_field(from, to, [](auto n, auto& w) { w = n; });
    to.ctrlreg[3] = xen_pfn_to_cr3(u64{xen_cr3_to_pfn_x86_32(from.ctrlreg[3])});
    to.syscall_callback_eip = pack_selectors(
        {static_cast<u16>(from.event_callback_cs), static_cast<u16>(from.failsafe_callback_cs)});
}

void narrow_context(const vcpu_guest_context_t& from, vcpu_guest_context_x86_32& to) {
    std::memset(static_cast<void*>(&to), 0, sizeof to);
    std::memcpy(&to.fpu_ctxt, &from.fpu_ctxt, sizeof to.fpu_ctxt);
    each_field(to, from, [](auto& n, auto w) { n = static_cast<std::remove_reference_t<decltype(n)>>(w); });
    to.ctrlreg[3] = xen_pfn_to_cr3_x86_32(static_cast<u32>(xen_cr3_to_pfn(from.ctrlreg[3])));
    const CallbackSelectors s = unpack_selectors(from.syscall_callback_eip);
    to.event_callback_cs = s.event;
    to.failsafe_callback_cs = s.failsafe;
}

}  // namespace domus::pv
