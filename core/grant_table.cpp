// SPDX-License-Identifier: GPL-2.0-or-later
// Setting up grant tables: growth and the change of version.
#include "core/grant_table.hpp"

#include <cstring>

#include "core/domain.hpp"
#include "port/memory.hpp"

namespace domus::core {

namespace {

// All with the table's lock held.

Result<> grow_status(Domain& d, u32 count) {
    GrantTable& g = d.grants;
    while (g.status_frames < count) {
        g.status[g.status_frames] = TRY(allocate_shared_page(d));
        g.status_frames++;
    }
    return {};
}

void free_status(GrantTable& g) {
    while (g.status_frames > 0) free_shared_page(g.status[--g.status_frames]);
}

Result<> grow(Domain& d, u32 frames) {
    GrantTable& g = d.grants;
    if (frames > g.max_frames) return fail(Error::nospc);
    if (g.version == 2) TRY(grow_status(d, status_frames_for(frames)));
    while (g.frames < frames) {
        g.shared[g.frames] = TRY(allocate_shared_page(d));
        g.frames++;
    }
    return {};
}

// The entries that the domain builder filled in, in the new form. The guest can write the table all the
// while: each entry is copied once and then looked at. Version 1's type bits and domain mean the same in
// version 2's header.
void convert_reserved(GrantTable& g, u32 to) {
    static_assert(GNTTAB_NR_RESERVED_ENTRIES * sizeof(grant_entry_v2_t) <= kPageSize);
    if (g.frames == 0) return;
    u8* first = port::frame_ptr<u8>(g.shared[0]);
    grant_entry_v1_t v1[GNTTAB_NR_RESERVED_ENTRIES] = {};
    grant_entry_v2_t v2[GNTTAB_NR_RESERVED_ENTRIES] = {};
    if (to == 2) {
        std::memcpy(v1, first, sizeof v1);
        for (u32 i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
            // A transfer makes no sense in a reserved entry.
            if ((v1[i].flags & GTF_type_mask) != GTF_permit_access) continue;
            v2[i].full_page.hdr.flags = static_cast<u16>(v1[i].flags & ~(GTF_reading | GTF_writing));
            v2[i].full_page.hdr.domid = v1[i].domid;
            v2[i].full_page.frame = v1[i].frame;
        }
    } else {
        std::memcpy(v2, first, sizeof v2);
        for (u32 i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
            const bool fits = (v2[i].full_page.frame >> 32) == 0;
            if ((v2[i].hdr.flags & GTF_type_mask) != GTF_permit_access || !fits) continue;
            v1[i].flags = static_cast<u16>(v2[i].hdr.flags & ~GTF_sub_page);
            v1[i].domid = v2[i].hdr.domid;
            v1[i].frame = static_cast<u32>(v2[i].full_page.frame);
        }
    }
    for (u32 i = 0; i < g.frames; i++) std::memset(port::frame_ptr<u8>(g.shared[i]), 0, kPageSize);
    if (to == 2)
        std::memcpy(first, v2, sizeof v2);
    else
        std::memcpy(first, v1, sizeof v1);
}

}  // namespace

Result<> init_grant_table(Domain& d, u32 max_frames, u32 max_version) {
    GrantTable& g = d.grants;
    g.shared = TRY(make_array<Mfn>(max_frames));
    g.status = TRY(make_array<Mfn>(status_frames_for(max_frames)));
    g.max_frames = max_frames;
    g.max_version = max_version;
    return {};
}

void free_grant_table(Domain& d) {
    GrantTable& g = d.grants;
    LockGuard guard(g.lock);
    free_status(g);
    while (g.frames > 0) free_shared_page(g.shared[--g.frames]);
}

Result<> grow_grant_table(Domain& d, u32 frames) {
    LockGuard guard(d.grants.lock);
    return grow(d, frames);
}

Result<Mfn> grant_shared_frame(Domain& d, u32 index) {
    GrantTable& g = d.grants;
    LockGuard guard(g.lock);
    if (index >= g.max_frames) return fail(Error::nospc);
    TRY(grow(d, index + 1));
    return g.shared[index];
}

Result<Mfn> grant_status_frame(Domain& d, u32 index) {
    GrantTable& g = d.grants;
    LockGuard guard(g.lock);
    if (g.version != 2) return fail(Error::inval);
    if (index >= g.status.size()) return fail(Error::nospc);
    TRY(grow_status(d, index + 1));
    return g.status[index];
}

GrantSize grant_table_size(Domain& d) {
    LockGuard guard(d.grants.lock);
    return {d.grants.frames, d.grants.max_frames};
}

u32 grant_table_version(Domain& d) {
    LockGuard guard(d.grants.lock);
    return d.grants.version;
}

u32 grant_status_frame_count(Domain& d) {
    LockGuard guard(d.grants.lock);
    return d.grants.status_frames;
}

Result<> set_grant_table_version(Domain& d, u32 version) {
    if (version != 1 && version != 2) return fail(Error::inval);
    GrantTable& g = d.grants;
    LockGuard guard(g.lock);
    if (version == g.version) return {};
    if (version > g.max_version) return fail(Error::nosys);
    if (g.active != 0) return fail(Error::busy);
    if (version == 2) TRY(grow_status(d, status_frames_for(g.frames)));
    convert_reserved(g, version);
    if (version == 1) free_status(g);
    g.version = version;
    return {};
}

}  // namespace domus::core
