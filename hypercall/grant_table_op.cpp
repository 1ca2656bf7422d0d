// SPDX-License-Identifier: GPL-2.0-or-later
// grant_table_op (20): the family's table, and setting up a domain's grant table. The operations that come in
// lists are in grant_lists.cpp.
#include "abi/xen.hpp"
#include "core/grant_table.hpp"
#include "hypercall/families.hpp"
#include "hypercall/grant_lists.hpp"
#include "hypercall/target.hpp"

namespace domus::hypercall {

namespace {

// Most operations report on themselves, in a field of their structure; the call as a whole then succeeds.
s16 status_of(Error e) {
    switch (e) {
        case Error::srch: return GNTST_bad_domain;
        case Error::perm: return GNTST_permission_denied;
        default: return GNTST_general_error;
    }
}
template <class T>
s16 status_of(const Result<T>& r) {
    return r ? s16{GNTST_okay} : status_of(r.error());
}

// The set-up operations take one structure; a list of them was never supported.
Result<> only_one(const GrantList& list) {
    if (list.count != 1) return fail(Error::inval);
    return {};
}

template <class List>
Result<> write_frames(Domain& d, u32 count, const List& list, Result<Mfn> (*frame)(Domain&, u32)) {
    for (u32 i = 0; i < count; i++) {
        const Mfn m = TRY(frame(d, i));
        TRY(list.write(m.v, i));
    }
    return {};
}

template <class L>
Result<> setup_table(Caller& caller, GrantList& call, gnttab_setup_table_t& arg) {
    TRY(only_one(call));
    const Result<Domain*> d = target_domain(caller, arg.dom);
    Result<> done = {};
    if (!d) {
        done = fail(d.error());
    } else {
        done = core::grow_grant_table(**d, arg.nr_frames);
        if (done) {
            const auto list = GuestLongs::of<L>(handle_address(arg.frame_list));
            done = write_frames(**d, arg.nr_frames, list, &core::grant_shared_frame);
            // The guest's list cannot be written: that is the call's failure, not the operation's.
            if (!done && done.error() == Error::fault) return done;
        }
    }
    arg.status = status_of(done);
    return {};
}

Result<> query_size(Caller& caller, GrantList& call, gnttab_query_size_t& arg) {
    TRY(only_one(call));
    const Result<Domain*> d = target_domain(caller, arg.dom);
    arg.status = status_of(d);
    if (!d) return {};
    const core::GrantSize size = core::grant_table_size(**d);
    arg.nr_frames = size.frames;
    arg.max_nr_frames = size.max_frames;
    return {};
}

// The version that is in force comes back even when the wish is refused.
Result<> set_version(Caller& caller, GrantList& call, GuestAddr where) {
    TRY(only_one(call));
    gnttab_set_version_t arg = TRY(where.in<gnttab_set_version_t>().read());
    const Result<> done = core::set_grant_table_version(caller.domain, arg.version);
    arg.version = core::grant_table_version(caller.domain);
    TRY(where.out<gnttab_set_version_t>().write(arg));
    return done;
}

Result<> get_status_frames(Caller& caller, GrantList& call, gnttab_get_status_frames_t& arg) {
    TRY(only_one(call));
    const Result<Domain*> d = target_domain(caller, arg.dom);
    arg.status = status_of(d);
    if (!d) return {};
    if (core::grant_table_version(**d) != 2 || arg.nr_frames > core::grant_status_frame_count(**d)) {
        arg.status = GNTST_general_error;
        return {};
    }
    const GuestOut<u64> list(handle_address(arg.frame_list));  // 64 bits wide for all guests
    const Result<> done = write_frames(**d, arg.nr_frames, list, &core::grant_status_frame);
    if (!done && done.error() == Error::fault) return done;
    arg.status = status_of(done);
    return {};
}

Result<> get_version(Caller& caller, GrantList& call, gnttab_get_version_t& arg) {
    TRY(only_one(call));
    arg.version = core::grant_table_version(*TRY(target_domain(caller, arg.dom)));
    return {};
}

// For whoever reads the hypervisor's log: only the toolstack's domain may fill it.
Result<> dump_table(Caller& caller, GrantList& call, gnttab_dump_table_t& arg) {
    TRY(only_one(call));
    if (!caller.domain.privileged) {
        arg.status = GNTST_permission_denied;
        return {};
    }
    const Result<Domain*> d = target_domain(caller, arg.dom);
    arg.status = status_of(d);
    if (d) core::dump_grant_table(**d);
    return {};
}

// cache_flush may be preempted while it looks for a mapping: how far it has come travels in the command's
// upper bits. No other command has any.
constexpr unsigned kCommandBits = 8;

template <class L>
constexpr Command<GrantList&> kList[] = {
    command<L, &map_grant_refs, GrantList&>(GNTTABOP_map_grant_ref, "map_grant_ref"),
    command<L, &unmap_grant_refs, GrantList&>(GNTTABOP_unmap_grant_ref, "unmap_grant_ref"),
    command<L, &setup_table<L>, GrantList&>(GNTTABOP_setup_table, "setup_table"),
    command<L, &dump_table, GrantList&>(GNTTABOP_dump_table, "dump_table"),
    command<L, &transfer_pages<L>, GrantList&>(GNTTABOP_transfer, "transfer"),
    command<L, &copy_grants<L>, GrantList&>(GNTTABOP_copy, "copy"),
    command<L, &query_size, GrantList&>(GNTTABOP_query_size, "query_size"),
    command<L, &unmap_and_replace, GrantList&>(GNTTABOP_unmap_and_replace, "unmap_and_replace"),
    command<L, &set_version, GrantList&>(GNTTABOP_set_version, "set_version"),
    command<L, &get_status_frames, GrantList&>(GNTTABOP_get_status_frames, "get_status_frames"),
    command<L, &get_version, GrantList&>(GNTTABOP_get_version, "get_version"),
    command<L, &swap_grant_refs, GrantList&>(GNTTABOP_swap_grant_ref, "swap_grant_ref"),
    command<L, &cache_flush, GrantList&>(GNTTABOP_cache_flush, "cache_flush"),
};
template <class L>
constexpr Commands kCommands("grant_table_op", kList<L>);

}  // namespace

template <class L>
Preemptible<u32, GuestAddr, u32> grant_table_op(Caller& caller, u32 command, GuestAddr arg, u32 count) {
    // A count that does not fit the result cannot be meant.
    if (count > INT32_MAX) return fail(Error::inval);
    GrantList list{.count = count};
    u32 number = command;
    if ((command & ((1u << kCommandBits) - 1)) == GNTTABOP_cache_flush) {
        number = GNTTABOP_cache_flush;
        list.position = command >> kCommandBits;
    }
    const Result<s64> done = kCommands<L>.call(caller, number, list, arg);
    if (!done && done.error() == Error::restart) {
        number |= list.position << kCommandBits;
        return again(number, arg.offset(u64{list.done} * list.item), count - list.done);
    }
    return done;
}

template Preemptible<u32, GuestAddr, u32> grant_table_op<Layout64>(Caller& caller, u32 command, GuestAddr arg,
                                                                   u32 count);
template Preemptible<u32, GuestAddr, u32> grant_table_op<Layout32>(Caller& caller, u32 command, GuestAddr arg,
                                                                   u32 count);

}  // namespace domus::hypercall
