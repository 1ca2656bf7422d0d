// SPDX-License-Identifier: GPL-2.0-or-later
// A domain's grant table as an object: its shared frames, its version and its limits (public grant_table.h).
// The use of its entries is in core/grant_pin.hpp.
#pragma once

#include <atomic>
#include <span>

#include "core/grant_entry.hpp"
#include "core/maptrack.hpp"
#include "mm/box.hpp"
#include "port/lock.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

// What domains may have: defaults for those whose makers do not say, and limits for those who do. Set at boot
// (options gnttab, gnttab_max_frames, gnttab_max_maptrack_frames).
struct GrantLimits {
    u32 max_frames = 64;             // of the shared table
    u32 max_maptrack_frames = 1024;  // of MapTrack::kHandlesPerFrame mappings each
    u32 max_version = 2;
    bool transitive = true;  // entries that name another grant
    bool transfer = true;    // GNTTABOP_transfer
};
GrantLimits& grant_limits();
// The limits of a new domain, as domctl createdomain names them: a negative number asks for the default.
// EINVAL: beyond what the machine's administrator allows, or no such version.
Result<GrantLimits> grant_limits_for(s32 max_frames, s32 max_maptrack_frames, u32 grant_opts);

struct GrantTable {
    static constexpr u32 kEntriesV1 = static_cast<u32>(kPageSize / sizeof(grant_entry_v1_t));
    static constexpr u32 kEntriesV2 = static_cast<u32>(kPageSize / sizeof(grant_entry_v2_t));
    static constexpr u32 kStatusPerFrame = static_cast<u32>(kPageSize / sizeof(grant_status_t));

    GrantTable() = default;
    GrantTable(const GrantTable&) = delete;
    GrantTable& operator=(const GrantTable&) = delete;
    ~GrantTable();

    SpinLock lock{Rank::grant_table};
    // Written with the lock held, read without it. What a number covers is there before it says so.
    std::atomic<u32> frames{0};         // in use
    std::atomic<u32> status_frames{0};  // made when the table first takes version 2, and kept
    // Of the entries: 1 or 2; 0 when the domain's end has taken the frames away. It changes with the lock
    // held, while nobody holds an entry's: kChanging keeps those who come meanwhile (core/grant_pin.hpp).
    std::atomic<u32> version{1};
    static constexpr u32 kChanging = 1u << 8;

    u32 max_version = 2;  // that the domain may choose
    u32 max_frames = 0;
    // Of max_frames places, or as many as those need.
    Array<Mfn> shared;
    Array<Mfn> status;
    Array<std::atomic<u32>*> pins;  // kEntriesV1 words of GrantPins for each shared frame

    MapTrack maptrack;  // what this domain has mapped of others

    // The pins of an entry, nullptr beyond the table's end. In version 2 it has only half as many entries.
    std::atomic<u32>* pins_of(u32 ref) const {
        if (ref / kEntriesV1 >= frames.load(std::memory_order_acquire)) return nullptr;
        return &pins[ref / kEntriesV1][ref % kEntriesV1];
    }
};

constexpr u32 status_frames_for(u32 frames) {
    constexpr u32 per_frame = GrantTable::kStatusPerFrame;
    return (frames * GrantTable::kEntriesV2 + per_frame - 1) / per_frame;
}

Result<> init_grant_table(Domain& d, u32 max_frames, u32 max_maptrack_frames, u32 max_version);
// At the domain's end: takes the shared frames away. Grants in use stay so, until their users let go, but
// there is no new use.
void retire_grant_table(Domain& d);

// Makes the table at least `frames` long. ENOSPC: beyond its limit. ENOMEM. EINVAL: the domain is at its end.
Result<> grow_grant_table(Domain& d, u32 frames);
// The frame of a part of the table, which grows to have it (XENMEM_resource_grant_table, setup_table).
// ENOSPC, ENOMEM. EINVAL: status frames of a table of version 1.
Result<Mfn> grant_shared_frame(Domain& d, u32 index);
Result<Mfn> grant_status_frame(Domain& d, u32 index);

// Tells the log what of the table is in use.
void dump_grant_table(Domain& d);

struct GrantSize {
    u32 frames, max_frames;
};
GrantSize grant_table_size(const Domain& d);
u32 grant_table_version(const Domain& d);  // 1 or 2
u32 grant_status_frame_count(const Domain& d);
// GNTTABOP_set_version: the reserved entries (console, xenstore) survive, all others are cleared. EINVAL: no
// such version, or a reserved entry that has no equivalent. ERANGE: a reserved entry's frame number does not
// fit. ENOSYS: not allowed to this domain. EBUSY: a grant is in use. ENOMEM.
Result<> set_grant_table_version(Domain& d, u32 version);

}  // namespace domus::core
