// SPDX-License-Identifier: GPL-2.0-or-later
// domctl for debuggers (gdbsx): a guest's memory by its own addresses, and its vCPUs stopped one by one.
#include <algorithm>
#include <cstring>

#include "core/domain.hpp"
#include "hypercall/domctl.hpp"
#include "hypercall/domctl_vcpu.hpp"
#include "mm/page_type.hpp"
#include "mm/write_log.hpp"
#include "port/cpu.hpp"
#include "port/memory.hpp"
#include "pv/address.hpp"
#include "pv/mmu.hpp"

namespace domus::hypercall {

namespace {

// At most one page's worth, which `at` and `buffer` are the start of.
Result<> copy_piece(Domain& d, Mfn root, Vaddr at, GuestAddr buffer, u32 bytes, bool write) {
    if (!pv::guest_address(at.v)) return fail(Error::fault);
    const pv::Leaf leaf = TRY(pv::walk_table(root, at));
    const PageRef page = TRY(get_page(leaf.entry.mfn(), d.id));
    u8* const memory = port::frame_ptr<u8>(page.mfn()) + at.v % kPageSize;
    if (!write) return buffer.out<u8>().write(0, memory, bytes);
    // Whatever its mapping says, but not what the CPU trusts: tables and descriptors.
    u8 piece[256];
    if (!get_writable(page.frame())) return fail(Error::fault);
    Result<> done;
    for (u32 i = 0; i < bytes && done; i += static_cast<u32>(sizeof piece)) {
        const u32 n = std::min<u32>(sizeof piece, bytes - i);
        done = buffer.offset(i).in<u8>().read(0, piece, n);
        if (done) std::memcpy(memory + i, piece, n);
    }
    note_written(page.frame());
    put_writable(page.frame());
    return done;
}

}  // namespace

Result<> domctl_setdebugging(Caller& caller, Domain& d, const xen_domctl_setdebugging& arg) {
    if (&d == &caller.domain) return fail(Error::inval);
    d.control.debugged = arg.enable != 0;
    return {};
}

Result<> domctl_gdbsx_guestmemio(Caller& caller, Domain& d, GuestAddr where) {
    xen_domctl_gdbsx_memio arg = TRY(where.in<xen_domctl_gdbsx_memio>().read());
    Vcpu& v = *TRY(vcpu_of_another(caller, d, 0));
    const Stopped stopped(v);
    if (v.pv.kernel_table == kNoMfn) return fail(Error::inval);
    arg.remain = arg.len;
    while (arg.remain != 0) {
        const u64 done = arg.len - arg.remain;
        const Vaddr at(arg.gva + done);
        const u32 n = static_cast<u32>(std::min<u64>(arg.remain, kPageSize - at.v % kPageSize));
        if (!copy_piece(d, v.pv.kernel_table, at, GuestAddr(arg.uva + done), n, arg.gwr != 0)) break;
        arg.remain -= n;
        // The debugger asks again for what remains.
        if (port::preempt_wanted()) break;
    }
    TRY(where.out<xen_domctl_gdbsx_memio>().write(arg));
    return arg.remain == arg.len && arg.len != 0 ? Result<>(fail(Error::fault)) : Result<>{};
}

Result<> domctl_gdbsx_pausevcpu(Caller& caller, Domain& d, const xen_domctl_gdbsx_pauseunp_vcpu& arg) {
    Vcpu& v = *TRY(vcpu_of_another(caller, d, arg.vcpu));
    // Only once: its pauses are not the debugger's to count.
    if (v.debugger_pauses) return fail(Error::busy);
    v.debugger_pauses = true;
    core::pause_vcpu_sync(v);
    return {};
}

Result<> domctl_gdbsx_unpausevcpu(Caller& caller, Domain& d, const xen_domctl_gdbsx_pauseunp_vcpu& arg) {
    Vcpu& v = *TRY(vcpu_of_another(caller, d, arg.vcpu));
    if (!v.debugger_pauses) return fail(Error::inval);
    v.debugger_pauses = false;
    core::unpause_vcpu(v);
    return {};
}

Result<> domctl_gdbsx_domstatus(Caller&, Domain& d, Out<xen_domctl_gdbsx_domstatus>& out) {
    out.v.paused = d.control.pauses.load() != 0;
    out.v.vcpu_id = ~u32{0};  // none has met an event of the debugger's
    return {};
}

}  // namespace domus::hypercall
