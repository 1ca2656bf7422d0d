// SPDX-License-Identifier: GPL-2.0-or-later
// Granted frames in a PV guest's page tables: GNTTABOP_map_grant_ref, unmap_grant_ref, unmap_and_replace.
//
// An entry that a grant makes is an entry like all others: it holds its own references to the frame, and
// whatever becomes of it (the guest overwrites it, its table is taken apart) gives them up. So a guest can
// neither keep the frame nor lose it for its owner by what it does to the entry; it cannot copy the entry
// either, since the frame is not its own. The handle (core/grant_map.hpp) only says that the grant is in use,
// and where its entry is. When that is to end, the entry is taken out if it still maps the frame, the TLBs
// are flushed, once a batch, and then the granter is told.
#pragma once

#include "core/grant_map.hpp"
#include "core/vcpu.hpp"

namespace domus::pv {

struct MappedGrant {
    u32 handle;
    Maddr frame;
};

// One mapping, for the vCPU's domain in its current address space. bad_gntref: mapped for nobody.
// bad_virt_addr: no level 1 entry of the domain's own there. general_error: the entry was refused. And as
// core::begin_mapping.
core::GrantResult<MappedGrant> map_grant(Vcpu& v, const gnttab_map_grant_ref_t& op);
// As if it had never been, for a guest that cannot be told its handle.
void undo_map_grant(Vcpu& v, const gnttab_map_grant_ref_t& op, const MappedGrant& mapped);

// Up to kMost mappings that end together. What a mapping held is given up in finish().
class UnmapBatch {
  public:
    static constexpr u32 kMost = 32;

    explicit UnmapBatch(Vcpu& v) : vcpu_(v) {}
    UnmapBatch(const UnmapBatch&) = delete;
    UnmapBatch& operator=(const UnmapBatch&) = delete;
    ~UnmapBatch() { finish(); }

    // Addresses of 0 leave their part of the mapping alone. bad_handle; bad_virt_addr, bad_dev_addr: not
    // where the handle's mapping is. Nothing has been changed then.
    core::GrantResult<> add(u32 handle, u64 host_addr, u64 dev_bus_addr);
    // The mapping's entry is replaced by the one that maps new_addr, which moves there. new_addr 0: as add().
    // general_error: the mapping is not of that kind, or its entry is gone.
    core::GrantResult<> replace(u32 handle, u64 host_addr, u64 new_addr);

    bool full() const { return ended_ == kMost; }
    void finish();

  private:
    struct Ended {
        core::GrantMapping* mapping;
        u32 handle;
        u32 state;      // what it consisted of
        u32 remaining;  // and still does; without a part nothing is left
    };
    void end(core::GrantMapping& m, u32 handle, u32 state, u32 parts);

    Vcpu& vcpu_;
    u32 ended_ = 0;
    bool flush_ = false;
    Ended list_[kMost];
};

}  // namespace domus::pv
