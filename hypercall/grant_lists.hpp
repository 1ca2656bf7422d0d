// SPDX-License-Identifier: GPL-2.0-or-later
// The operations of grant_table_op that take lists of structures, each of which reports on itself.
#pragma once

#include "hypercall/command.hpp"

namespace domus::hypercall {

// A call's list, and how far it has come. An operation that is preempted returns RESTART, and the call is
// made again for the rest.
struct GrantList {
    u32 count;
    u32 done = 0;
    u32 item = 0;      // bytes of one structure
    u32 position = 0;  // within the element that was preempted (cache_flush)
};

// EFAULT: an element cannot be read, or its answer not written; those before it are done.
Result<> map_grant_refs(Caller& caller, GrantList& list, GuestAddr where);
Result<> unmap_grant_refs(Caller& caller, GrantList& list, GuestAddr where);
Result<> unmap_and_replace(Caller& caller, GrantList& list, GuestAddr where);
template <class L>
Result<> copy_grants(Caller& caller, GrantList& list, GuestAddr where);
template <class L>
Result<> transfer_pages(Caller& caller, GrantList& list, GuestAddr where);
Result<> swap_grant_refs(Caller& caller, GrantList& list, GuestAddr where);
// EINVAL: a range beyond its page, unknown operations. EOPNOTSUPP: by reference, or to throw contents away.
// EPERM: a page that the caller has neither of its own nor mapped.
Result<> cache_flush(Caller& caller, GrantList& list, GuestAddr where);

}  // namespace domus::hypercall
