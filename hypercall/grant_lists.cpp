// SPDX-License-Identifier: GPL-2.0-or-later
// Running the lists: an element at a time, its status written back, preemptible between elements.
#include "hypercall/grant_lists.hpp"

#include "abi/xen.hpp"
#include "base/log.hpp"
#include "core/grant_copy.hpp"
#include "core/grant_pin.hpp"
#include "port/cpu.hpp"
#include "pv/grant_map.hpp"
#include "pv/grant_transfer.hpp"

namespace domus::hypercall {

namespace {

using core::GrantResult;

// So many elements are done between two looks at whether the CPU has other work: the look opens the interrupt
// window, which costs more than a short operation.
constexpr u32 kGroup = pv::UnmapBatch::kMost;

// Calls step(element, its place) for each element, and between groups what ends one.
template <class T, class L = Layout64, class Step, class EndGroup>
Result<> each(GrantList& list, GuestAddr where, Step step, EndGroup end_group) {
    using Type = typename Wire<L, T>::Type;
    static_assert(same_in_32<T> || !std::is_same_v<T, Type> || std::is_same_v<L, Layout64>);
    list.item = sizeof(Type);
    u32 in_group = 0;
    for (; list.done < list.count; list.done++) {
        if (in_group == kGroup) {
            in_group = 0;
            end_group();
            if (port::preempt_wanted()) return fail(Error::restart);
        }
        in_group++;
        const GuestAddr at = where.offset(u64{list.done} * sizeof(Type));
        const T op = TRY((read_wire<L, T>(at)));
        TRY(step(op, at));
    }
    return {};
}
template <class T, class L = Layout64, class Step>
Result<> each(GrantList& list, GuestAddr where, Step step) {
    return each<T, L>(list, where, step, [] {});
}

// Only what the operation answers goes back: the rest of the structure is the guest's.
template <class T>
Result<> answer(GuestAddr at, usize offset, const T& value) {
    return at.offset(offset).out<T>().write(value);
}

[[gnu::cold, gnu::noinline]] void log_refused(const Caller& caller, const char* operation, u32 ref,
                                              u32 domain, s16 status) {
    guest_log(Level::warning, "d{}v{}: grant {} of {:#x} of d{} refused: status {}", caller.domain.id,
              caller.vcpu.id, operation, ref, domain, status);
}

}  // namespace

Result<> map_grant_refs(Caller& caller, GrantList& list, GuestAddr where) {
    using Op = gnttab_map_grant_ref_t;
    struct [[gnu::packed]] Answer {
        s16 status;
        u32 handle;
        u64 dev_bus_addr;
    };
    static_assert(offsetof(Op, handle) == offsetof(Op, status) + 2 &&
                  offsetof(Op, dev_bus_addr) == offsetof(Op, status) + 6 &&
                  sizeof(Answer) == sizeof(Op) - offsetof(Op, status));
    return each<Op>(list, where, [&](const Op& op, GuestAddr at) -> Result<> {
        const auto mapped = pv::map_grant(caller.vcpu, op);
        const s16 status = core::to_abi(mapped);
        if (!mapped) [[unlikely]] {
            log_refused(caller, "map", op.ref, op.dom, status);
            return answer(at, offsetof(Op, status), status);
        }
        const Answer good{.status = status, .handle = mapped->handle, .dev_bus_addr = mapped->frame.v};
        const Result<> told = answer(at, offsetof(Op, status), good);
        if (!told) pv::undo_map_grant(caller.vcpu, op, *mapped);
        return told;
    });
}

namespace {

// end(batch, element) ends a mapping; the flush comes once for a group.
template <class Op, class End>
Result<> end_mappings(Caller& caller, GrantList& list, GuestAddr where, const char* operation, End end) {
    pv::UnmapBatch batch(caller.vcpu);
    return each<Op>(
        list, where,
        [&](const Op& op, GuestAddr at) {
            const s16 status = core::to_abi(end(batch, op));
            if (status != GNTST_okay) log_refused(caller, operation, op.handle, caller.domain.id.v, status);
            return answer(at, offsetof(Op, status), status);
        },
        [&] { batch.finish(); });
}

}  // namespace

Result<> unmap_grant_refs(Caller& caller, GrantList& list, GuestAddr where) {
    return end_mappings<gnttab_unmap_grant_ref_t>(
        caller, list, where, "unmap",
        [](auto& batch, const auto& op) { return batch.add(op.handle, op.host_addr, op.dev_bus_addr); });
}

Result<> unmap_and_replace(Caller& caller, GrantList& list, GuestAddr where) {
    return end_mappings<gnttab_unmap_and_replace_t>(
        caller, list, where, "replace",
        [](auto& batch, const auto& op) { return batch.replace(op.handle, op.host_addr, op.new_addr); });
}

template <class L>
Result<> copy_grants(Caller& caller, GrantList& list, GuestAddr where) {
    using Op = gnttab_copy_t;
    return each<Op, L>(list, where, [&](const Op& op, GuestAddr at) {
        const s16 status = core::to_abi(core::copy_grant(caller.domain, op));
        if (status != GNTST_okay) [[unlikely]] {
            const auto& end = (op.flags & GNTCOPY_source_gref) != 0 ? op.source : op.dest;
            log_refused(caller, "copy", end.u.ref, end.domid, status);
        }
        using Type = typename Wire<L, Op>::Type;
        return answer(at, offsetof(Type, status), status);
    });
}
template Result<> copy_grants<Layout64>(Caller&, GrantList&, GuestAddr);
template Result<> copy_grants<Layout32>(Caller&, GrantList&, GuestAddr);

template <class L>
Result<> transfer_pages(Caller& caller, GrantList& list, GuestAddr where) {
    using Op = gnttab_transfer_t;
    return each<Op, L>(list, where, [&](const Op& op, GuestAddr at) {
        const s16 status = core::to_abi(pv::transfer_page(caller.domain, op));
        if (status != GNTST_okay) log_refused(caller, "transfer", op.ref, op.domid, status);
        using Type = typename Wire<L, Op>::Type;
        return answer(at, offsetof(Type, status), status);
    });
}
template Result<> transfer_pages<Layout64>(Caller&, GrantList&, GuestAddr);
template Result<> transfer_pages<Layout32>(Caller&, GrantList&, GuestAddr);

Result<> cache_flush(Caller& caller, GrantList& list, GuestAddr where) {
    return each<gnttab_cache_flush_t>(
        list, where, [&](const gnttab_cache_flush_t& op, GuestAddr) -> Result<> {
            constexpr u32 kBoth = GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL;
            if (op.offset >= kPageSize || op.length > kPageSize || u32{op.offset} + op.length > kPageSize)
                return fail(Error::inval);
            if ((op.op & GNTTAB_CACHE_SOURCE_GREF) != 0) return fail(Error::opnotsupp);
            if ((op.op & ~kBoth) != 0) return fail(Error::inval);
            if (op.op == 0 || op.length == 0) return {};
            // What another has written must not come to light again from memory.
            if (op.op == GNTTAB_CACHE_INVAL) return fail(Error::opnotsupp);
            const Mfn frame = mfn(Maddr(op.a.dev_bus_addr));
            if (!frame_valid(frame)) return fail(Error::inval);
            PageRef page;
            if (auto own = get_page(frame, caller.domain.id)) {
                page = std::move(*own);
            } else {
                page = TRY(core::hold_mapped_frame(caller.domain, frame, list.position));
            }
            list.position = 0;
            port::flush_cache_lines(port::frame_ptr<u8>(frame) + op.offset, op.length);
            return {};
        });
}

Result<> swap_grant_refs(Caller& caller, GrantList& list, GuestAddr where) {
    using Op = gnttab_swap_grant_ref_t;
    return each<Op>(list, where, [&](const Op& op, GuestAddr at) {
        const s16 status = core::to_abi(core::swap_grants(caller.domain.grants, op.ref_a, op.ref_b));
        if (status != GNTST_okay) log_refused(caller, "swap", op.ref_a, caller.domain.id.v, status);
        return answer(at, offsetof(Op, status), status);
    });
}

}  // namespace domus::hypercall
