// SPDX-License-Identifier: GPL-2.0-or-later
// A domain's grant table as an object: its shared frames, its version and its limits (public grant_table.h).
#pragma once

#include <span>

#include "abi/xen.hpp"
#include "base/result.hpp"
#include "base/types.hpp"
#include "mm/box.hpp"
#include "port/lock.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

struct GrantTable {
    SpinLock lock{Rank::grant_table};
    // Under the lock:
    u32 version = 1;      // of the entries: 1 or 2
    u32 max_version = 2;  // the domain may choose
    u32 max_frames = 0;
    u32 frames = 0;         // in use
    u32 status_frames = 0;  // version 2 only
    Array<Mfn> shared;      // max_frames places
    Array<Mfn> status;      // for version 2: one for every 8 shared frames
    u32 active = 0;         // entries in use by a map or copy: the version is fixed while there are any
};

constexpr u32 grant_entries_per_frame(u32 version) {
    return static_cast<u32>(kPageSize / (version == 1 ? sizeof(grant_entry_v1_t) : sizeof(grant_entry_v2_t)));
}
constexpr u32 status_frames_for(u32 frames) {
    constexpr u32 per_frame = static_cast<u32>(kPageSize / sizeof(grant_status_t));
    return (frames * grant_entries_per_frame(2) + per_frame - 1) / per_frame;
}

Result<> init_grant_table(Domain& d, u32 max_frames, u32 max_version);
void free_grant_table(Domain& d);

// Makes the table at least `frames` long. ENOSPC: beyond its limit. ENOMEM.
Result<> grow_grant_table(Domain& d, u32 frames);
// The frame of a part of the table, which grows to have it (XENMAPSPACE_grant_table, setup_table). ENOSPC,
// ENOMEM. EINVAL: status frames of a table of version 1.
Result<Mfn> grant_shared_frame(Domain& d, u32 index);
Result<Mfn> grant_status_frame(Domain& d, u32 index);

struct GrantSize {
    u32 frames, max_frames;
};
GrantSize grant_table_size(Domain& d);
u32 grant_table_version(Domain& d);
u32 grant_status_frame_count(Domain& d);
// GNTTABOP_set_version: the reserved entries (console, xenstore) survive, all others are cleared. EINVAL: no
// such version. ENOSYS: not allowed to this domain. EBUSY: a grant is in use. ENOMEM.
Result<> set_grant_table_version(Domain& d, u32 version);

}  // namespace domus::core
