// SPDX-License-Identifier: GPL-2.0-or-later
// Setting up grant tables: limits, growth, the change of version, the end.
#include "core/grant_table.hpp"

#include <cstring>
#include <new>

#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/grant_pin.hpp"
#include "port/memory.hpp"

namespace domus::core {

namespace {

constinit GrantLimits limits;

using PinWord = std::atomic<u32>;
constexpr usize kPinBytes = GrantTable::kEntriesV1 * sizeof(PinWord);

// All with the table's lock held.

Result<> grow_status(Domain& d, u32 count) {
    GrantTable& g = d.grants;
    for (u32 n = g.status_frames.load(std::memory_order_relaxed); n < count; n++) {
        g.status[n] = TRY(allocate_shared_page(d));
        g.status_frames.store(n + 1, std::memory_order_release);
    }
    return {};
}

Result<> grow(Domain& d, u32 frames) {
    GrantTable& g = d.grants;
    const u32 version = g.version.load(std::memory_order_relaxed);
    if (version == 0) return fail(Error::inval);
    if (frames > g.max_frames) return fail(Error::nospc);
    if (version == 2) TRY(grow_status(d, status_frames_for(frames)));
    for (u32 n = g.frames.load(std::memory_order_relaxed); n < frames; n++) {
        if (g.pins[n] == nullptr) {
            auto* words = static_cast<PinWord*>(TRY(allocate(kPinBytes)));
            for (u32 i = 0; i < GrantTable::kEntriesV1; i++) new (&words[i]) PinWord(0);
            g.pins[n] = words;
        }
        g.shared[n] = TRY(allocate_shared_page(d));
        g.frames.store(n + 1, std::memory_order_release);
    }
    return {};
}

// While it lives nobody is at any entry. Users hold an entry's lock for a few instructions only, and never
// wait for the table's; those who come later see kChanging and wait. One step for all entries, and bounded:
// 2 KiB of counts to read and 4 KiB of entries to clear for each frame, of which gnttab_max_frames allows
// 4096 at most.
class StillTable {
  public:
    explicit StillTable(GrantTable& g) : table_(g), version_(g.version.load(std::memory_order_relaxed)) {
        g.version.store(version_ | GrantTable::kChanging, std::memory_order_seq_cst);
        const u32 frames = g.frames.load(std::memory_order_relaxed);
        for (u32 n = 0; n < frames; n++) {
            for (u32 i = 0; i < GrantTable::kEntriesV1; i++) {
                GrantPins pins{g.pins[n][i].load(std::memory_order_seq_cst)};
                while (pins.locked()) {
                    port::relax();
                    pins.v = g.pins[n][i].load(std::memory_order_seq_cst);
                }
                unused_ = unused_ && pins.none();
            }
        }
    }
    StillTable(const StillTable&) = delete;
    StillTable& operator=(const StillTable&) = delete;
    ~StillTable() { table_.version.store(version_, std::memory_order_release); }

    bool unused() const { return unused_; }
    void becomes(u32 version) { version_ = version; }

  private:
    GrantTable& table_;
    u32 version_;
    bool unused_ = true;
};

// The entries that the domain builder filled in, in the new form. The guest can write the table all the
// while: each entry is copied once and then looked at. Version 1's type bits and domain mean the same in
// version 2's header. EINVAL: no equivalent. ERANGE: the frame's number is too large for version 1.
struct Reserved {
    grant_entry_v1_t v1[GNTTAB_NR_RESERVED_ENTRIES] = {};
    grant_entry_v2_t v2[GNTTAB_NR_RESERVED_ENTRIES] = {};

    Result<> to_v2() {
        for (u32 i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
            switch (v1[i].flags & GTF_type_mask) {
                case GTF_invalid: break;
                // A transfer that has not begun is like an access.
                case GTF_permit_access:
                case GTF_accept_transfer:
                    v2[i].full_page.hdr.flags = static_cast<u16>(v1[i].flags & ~(GTF_reading | GTF_writing));
                    v2[i].full_page.hdr.domid = v1[i].domid;
                    v2[i].full_page.frame = v1[i].frame;
                    break;
                default: return fail(Error::inval);
            }
        }
        return {};
    }
    Result<> to_v1() {
        for (u32 i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
            const u16 flags = v2[i].hdr.flags;
            if ((flags & GTF_type_mask) == GTF_invalid) continue;
            if ((flags & GTF_type_mask) == GTF_transitive || (flags & GTF_sub_page) != 0)
                return fail(Error::inval);
            if ((v2[i].full_page.frame >> 32) != 0) return fail(Error::range);
            v1[i].flags = static_cast<u16>(flags & ~(GTF_reading | GTF_writing));
            v1[i].domid = v2[i].hdr.domid;
            v1[i].frame = static_cast<u32>(v2[i].full_page.frame);
        }
        return {};
    }
};
static_assert(GNTTAB_NR_RESERVED_ENTRIES * sizeof(grant_entry_v2_t) <= kPageSize);

Result<> convert(GrantTable& g, u32 to) {
    const u32 frames = g.frames.load(std::memory_order_relaxed);
    if (frames == 0) return {};
    u8* first = port::frame_ptr<u8>(g.shared[0]);
    Reserved r;
    if (to == 2) {
        std::memcpy(r.v1, first, sizeof r.v1);
        TRY(r.to_v2());
    } else {
        std::memcpy(r.v2, first, sizeof r.v2);
        TRY(r.to_v1());
    }
    for (u32 i = 0; i < frames; i++) std::memset(port::frame_ptr<u8>(g.shared[i]), 0, kPageSize);
    for (u32 i = 0; i < g.status_frames.load(std::memory_order_relaxed); i++)
        std::memset(port::frame_ptr<u8>(g.status[i]), 0, kPageSize);
    if (to == 2)
        std::memcpy(first, r.v2, sizeof r.v2);
    else
        std::memcpy(first, r.v1, sizeof r.v1);
    return {};
}

}  // namespace

GrantLimits& grant_limits() { return limits; }

Result<GrantLimits> grant_limits_for(s32 max_frames, s32 max_maptrack_frames, u32 grant_opts) {
    GrantLimits l = limits;
    l.max_version = grant_opts & XEN_DOMCTL_GRANT_version_mask;
    if ((grant_opts & ~u32{XEN_DOMCTL_GRANT_version_mask}) != 0 || l.max_version == 0 ||
        l.max_version > limits.max_version)
        return fail(Error::inval);
    if (max_frames >= 0) l.max_frames = static_cast<u32>(max_frames);
    if (max_maptrack_frames >= 0) l.max_maptrack_frames = static_cast<u32>(max_maptrack_frames);
    // A domain without a table could not even be given its console.
    if (l.max_frames == 0 || l.max_frames > limits.max_frames ||
        l.max_maptrack_frames > limits.max_maptrack_frames)
        return fail(Error::inval);
    return l;
}

GrantTable::~GrantTable() {
    for (PinWord* words : pins)
        if (words != nullptr) deallocate(words, kPinBytes);
}

Result<> init_grant_table(Domain& d, u32 max_frames, u32 max_maptrack_frames, u32 max_version) {
    GrantTable& g = d.grants;
    g.shared = TRY(make_array<Mfn>(max_frames));
    g.pins = TRY(make_array<PinWord*>(max_frames));
    g.status = TRY(make_array<Mfn>(status_frames_for(max_frames)));
    g.max_frames = max_frames;
    g.max_version = max_version;
    g.maptrack.set_limit(max_maptrack_frames);
    return {};
}

void retire_grant_table(Domain& d) {
    GrantTable& g = d.grants;
    LockGuard guard(g.lock);
    if (g.version.load(std::memory_order_relaxed) == 0) return;
    StillTable(g).becomes(0);
    for (u32 i = 0; i < g.status_frames.load(std::memory_order_relaxed); i++) free_shared_page(g.status[i]);
    for (u32 i = 0; i < g.frames.load(std::memory_order_relaxed); i++) free_shared_page(g.shared[i]);
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
    if (g.version.load(std::memory_order_relaxed) != 2) return fail(Error::inval);
    if (index >= g.status.size()) return fail(Error::nospc);
    TRY(grow_status(d, index + 1));
    return g.status[index];
}

void dump_grant_table(Domain& d) {
    constexpr u32 kLines = 64;
    const GrantTable& g = d.grants;
    const u32 frames = g.frames.load(std::memory_order_acquire);
    log(Level::info, "d{}: grant table of version {}, {} of {} frames, {} of status", d.id,
        g.version.load(std::memory_order_relaxed), frames, g.max_frames,
        g.status_frames.load(std::memory_order_relaxed));
    u32 used = 0;
    for (u32 ref = 0; ref < frames * GrantTable::kEntriesV1; ref++) {
        const GrantPins p{g.pins_of(ref)->load(std::memory_order_relaxed)};
        if (p.none() || used++ >= kLines) continue;
        log(Level::info, "  {:#x}: {} uses for reading, {} for writing", ref, p.readers(), p.writers());
    }
    log(Level::info, "  {} grants in use, {} handles of mappings made", used, g.maptrack.end());
}

GrantSize grant_table_size(const Domain& d) {
    return {d.grants.frames.load(std::memory_order_relaxed), d.grants.max_frames};
}

u32 grant_table_version(const Domain& d) {
    const u32 version = d.grants.version.load(std::memory_order_relaxed) & ~GrantTable::kChanging;
    return version == 0 ? 1 : version;
}

u32 grant_status_frame_count(const Domain& d) {
    return d.grants.status_frames.load(std::memory_order_relaxed);
}

Result<> set_grant_table_version(Domain& d, u32 version) {
    if (version != 1 && version != 2) return fail(Error::inval);
    GrantTable& g = d.grants;
    LockGuard guard(g.lock);
    const u32 now = g.version.load(std::memory_order_relaxed);
    if (version == now) return {};
    if (now == 0) return fail(Error::inval);
    if (version > g.max_version) return fail(Error::nosys);
    if (version == 2) TRY(grow_status(d, status_frames_for(g.frames.load(std::memory_order_relaxed))));
    StillTable still(g);
    if (!still.unused()) return fail(Error::busy);
    TRY(convert(g, version));
    still.becomes(version);
    return {};
}

}  // namespace domus::core
