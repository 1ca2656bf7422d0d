// SPDX-License-Identifier: GPL-2.0-or-later
// domctl shadow_op, for PV guests: the log of dirty pages that live migration asks for
// (docs/life-of-a-migration.md).
//
// Where there is no memory for an exact log, it is the coarsest true one: any page may have been written.
#include <algorithm>
#include <array>
#include <bit>

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
    if (d.is_32bit) {
        guest_log(Level::warning,
                  "d{}: live migration of d{} refused: the pages that a 32-bit guest writes are not logged; "
                  "save and restore it instead",
                  caller.domain.id, d.id);
        return fail(Error::opnotsupp);
    }
    const Result<> begun = d.dirty_log.begin(d);
    if (!begun && begun.error() != Error::nomem) return begun;
    d.control.log_dirty = true;
    if (!begun)
        guest_log(Level::warning,
                  "d{}: no memory for the log of the pages that d{} writes: each round of its live migration "
                  "sends all of its memory; free some, or migrate it while it is paused",
                  caller.domain.id, d.id);
    return {};
}

// 64 pages, as the bitmap says them.
u64 dirty(const Domain& d, u64 word, bool peek) {
    if (!d.dirty_log.on()) return ~u64{0};
    return peek ? d.dirty_log.so_far(word) : d.dirty_log.finished(word);
}

// How far a preempted call has come is written into its structure, in a field that means nothing otherwise.
Result<> tell(Domain& d, GuestAddr where, xen_domctl_shadow_op& arg) {
    if (!d.control.log_dirty) return fail(Error::inval);
    const bool peek = arg.op == XEN_DOMCTL_SHADOW_OP_PEEK;
    constexpr u64 kStep = 32;  // words at a time
    arg.pages = std::min(arg.pages, kMostPages);
    const u64 words = (arg.pages + 63) / 64;
    if (arg.mb == 0) {
        arg.stats.dirty_count = 0;
        if (!peek && d.dirty_log.on()) TRY(d.dirty_log.next_round());
    }
    const GuestOut<u8> bitmap(reinterpret_cast<u64>(arg.dirty_bitmap.p));
    u64 at = u64{arg.mb} * kStep;
    while (at < words) {
        std::array<u64, kStep> bits{};
        const u64 n = std::min(kStep, words - at);
        for (u64 i = 0; i < n; i++) {
            bits[i] = dirty(d, at + i, peek);
            const u64 first = (at + i) * 64;
            if (arg.pages - first < 64) bits[i] &= (u64{1} << (arg.pages - first)) - 1;
            arg.stats.dirty_count += static_cast<u32>(std::popcount(bits[i]));
        }
        if (!bitmap.null())
            TRY(bitmap.write(at * 8, reinterpret_cast<const u8*>(bits.data()),
                             std::min(n * 8, (arg.pages + 7) / 8 - at * 8)));
        if (!peek && d.dirty_log.on())
            for (u64 i = 0; i < n; i++) d.dirty_log.forget_finished(at + i, bits[i]);
        at += n;
        if (at < words && port::preempt_wanted()) {
            arg.mb = static_cast<u32>(at / kStep);
            TRY(where.out<xen_domctl_shadow_op>().write(arg));
            return fail(Error::restart);
        }
    }
    if (!peek) d.dirty_log.round_told();
    arg.mb = 0;
    arg.stats.fault_count = 0;
    return where.out<xen_domctl_shadow_op>().write(arg);
}

}  // namespace

Result<> domctl_shadow_op(Caller& caller, Domain& d, GuestAddr where) {
    xen_domctl_shadow_op arg = TRY(where.in<xen_domctl_shadow_op>().read());
    if (&d == &caller.domain) return fail(Error::inval);
    if (d.dying.load() != Dying::no) return {};
    switch (arg.op) {
        case XEN_DOMCTL_SHADOW_OP_OFF:
            d.dirty_log.end(d);
            d.control.log_dirty = false;
            return {};
        case XEN_DOMCTL_SHADOW_OP_ENABLE: return enable(caller, d, arg.mode);
        case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
            return enable(caller, d, XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY);
        case XEN_DOMCTL_SHADOW_OP_CLEAN:
        case XEN_DOMCTL_SHADOW_OP_PEEK: return tell(d, where, arg);
        // The log's tables are not of a size that the toolstack sets.
        case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
            arg.mb = 0;
            return where.out<xen_domctl_shadow_op>().write(arg);
        case XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION: return arg.mb == 0 ? Result<>{} : fail(Error::inval);
        default: return fail(Error::inval);
    }
}

}  // namespace domus::hypercall
