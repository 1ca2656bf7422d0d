// SPDX-License-Identifier: GPL-2.0-or-later
// Mapped grants, without the page tables: what a handle holds, from map to unmap. Entries in the mapper's
// page tables are pv/grant_map.hpp's; each holds its own references to the frame, as every entry does.
//
// A handle holds a pin of the grant's entry, the granter's structure, and, for devices, the frame. It is busy
// from begin_mapping() or claim_mapping() on, until publish_mapping() or end_mapping().
#pragma once

#include "core/grant_table.hpp"
#include "mm/frame_refs.hpp"

namespace domus::core {

// A handle for the grant `ref` of domain `granter`, with its frame looked up and pinned. `parts`:
// GrantMapping::kWritable and kDevice. bad_domain: none, or at its end. bad_page: the grant's frame is not
// RAM of the granter's, or cannot be written. no_space: the mapper has as many mappings as it may. And as
// pin_grant.
GrantResult<u32> begin_mapping(Domain& mapper, u16 granter, u32 ref, u32 parts);

// Lets the handle be used: `state` says what it consists of.
inline void publish_mapping(GrantMapping& m, u32 state) { m.state.store(state, std::memory_order_release); }

// Takes the mapping for a change. Returns its state. bad_handle: no such mapping, or somebody else is at it.
GrantResult<u32> claim_mapping(const Domain& mapper, u32 handle, GrantMapping*& mapping);

// Gives up the device's part of a mapping that consisted of `state`.
void drop_device_part(const GrantMapping& m, u32 state);
// Gives up everything else: the mapping consisted of `state`, of which neither part is left. No translation
// of it may be in use any more.
void end_mapping(Domain& mapper, u32 handle, GrantMapping& m, u32 state);

// A reference to a frame that the mapper has mapped. `position` is where a preempted search goes on, 0 at
// first. EPERM: it has not. ERESTART: preempted.
Result<PageRef> hold_mapped_frame(Domain& mapper, Mfn frame, u32& position);

// For a domain at its end, whose page tables are gone. ERESTART: preempted, call again.
Result<> release_all_mappings(Domain& d, u32& next);

}  // namespace domus::core
