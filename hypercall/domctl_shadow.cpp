// SPDX-License-Identifier: GPL-2.0-or-later
// domctl shadow_op, for PV guests: the log of dirty pages that live migration asks for.
//
// A PV guest writes its memory through tables of its own, and reads back what they say: neither the right to
// write nor the dirty bit of an entry can be taken away to learn of writes without the guest's seeing it. So
// the log is the coarsest true one: from a round to the next any page may have been written. Each round of a
// migration sends all memory again, and the last, of the stopped guest, makes it exact.
#include <algorithm>
#include <array>

#include "base/log.hpp"
#include "core/domain.hpp"
#include "hypercall/domctl.hpp"
#include "port/cpu.hpp"

namespace domus::hypercall {

namespace {

// Frames of a guest's memory as it numbers them, of which a bitmap can tell: a guest of 16 TiB.
constexpr u64 kMostPages = u64{1} << 32;

Result<> enable(Caller& caller, Domain& d, u32 mode) {
    // Counting references and translating are for guests whose tables the hypervisor makes.
    if (mode != XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY) return fail(Error::inval);
    if (d.control.log_dirty) return fail(Error::inval);
    d.control.log_dirty = true;
    log(Level::info, "d{}: each round of d{}'s live migration sends all of its memory", caller.domain.id,
        d.id);
    return {};
}

// How far a preempted call has come is written into its structure, in a field that means nothing otherwise.
Result<> tell(Domain& d, GuestAddr where, xen_domctl_shadow_op& arg) {
    if (!d.control.log_dirty) return fail(Error::inval);
    arg.pages = std::min(arg.pages, kMostPages);
    if (arg.dirty_bitmap.p != nullptr) {
        static constexpr auto kAll = [] {
            std::array<u8, 256> bytes{};
            bytes.fill(0xff);
            return bytes;
        }();
        const GuestOut<u8> bitmap(reinterpret_cast<u64>(arg.dirty_bitmap.p));
        const u64 whole = arg.pages / 8;
        u64 at = u64{arg.mb} * kAll.size();
        while (at < whole) {
            const u64 n = std::min<u64>(kAll.size(), whole - at);
            TRY(bitmap.write(at, kAll.data(), n));
            at += n;
            if (at < whole && n == kAll.size() && port::preempt_wanted()) {
                arg.mb = static_cast<u32>(at / kAll.size());
                TRY(where.out<xen_domctl_shadow_op>().write(arg));
                return fail(Error::restart);
            }
        }
        if (arg.pages % 8 != 0) TRY(bitmap.write(static_cast<u8>((1u << arg.pages % 8) - 1), whole));
    }
    arg.mb = 0;
    arg.stats.fault_count = 0;
    arg.stats.dirty_count = static_cast<u32>(std::min<u64>(arg.pages, ~u32{0}));
    return where.out<xen_domctl_shadow_op>().write(arg);
}

}  // namespace

Result<> domctl_shadow_op(Caller& caller, Domain& d, GuestAddr where) {
    xen_domctl_shadow_op arg = TRY(where.in<xen_domctl_shadow_op>().read());
    if (&d == &caller.domain) return fail(Error::inval);
    if (d.dying.load() != Dying::no) return {};
    switch (arg.op) {
        case XEN_DOMCTL_SHADOW_OP_OFF: d.control.log_dirty = false; return {};
        case XEN_DOMCTL_SHADOW_OP_ENABLE: return enable(caller, d, arg.mode);
        case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
            return enable(caller, d, XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY);
        case XEN_DOMCTL_SHADOW_OP_CLEAN:
        case XEN_DOMCTL_SHADOW_OP_PEEK: return tell(d, where, arg);
        // No memory is set aside for tables of ours: there are none.
        case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
            arg.mb = 0;
            return where.out<xen_domctl_shadow_op>().write(arg);
        case XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION: return arg.mb == 0 ? Result<>{} : fail(Error::inval);
        default: return fail(Error::inval);
    }
}

}  // namespace domus::hypercall
