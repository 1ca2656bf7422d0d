// SPDX-License-Identifier: GPL-2.0-or-later
// A PV guest's global descriptor table: up to 14 pages of type `descriptors`, mapped at the start of the
// CPU's table while the vCPU runs.
#pragma once

#include <array>
#include <span>

#include "base/result.hpp"
#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "pv/descriptors.hpp"

namespace domus::pv {

// Frames with a type reference each, held until release_gdt_frames().
struct GdtFrames {
    std::array<Mfn, kGuestGdtPages> frames{};
    u32 entries = 0;
};

// Takes the references. EINVAL: too many entries, a frame that is not the domain's or is in use as something
// else, or a descriptor that check_descriptor() refuses; nothing is held then. Precondition: frames.size() is
// the number of pages that `entries` need.
Result<GdtFrames> hold_gdt_frames(const Domain& d, std::span<const Mfn> frames, u32 entries);
void release_gdt_frames(const GdtFrames& held);

// set_gdt for the current vCPU.
Result<> set_gdt(Vcpu& v, std::span<const Mfn> frames, u32 entries);

// The references of a vCPU that runs nowhere (its end, or a new context).
void drop_gdt(PvVcpu& pv);

// update_descriptor: writes one descriptor, at a machine address in a page of the domain's. EINVAL: not
// aligned to 8 bytes, not a page of the domain's that holds descriptors or plain data, or a descriptor that
// is not allowed. Of a page of plain data no other word changes, and it stays one.
Result<> update_descriptor(const Domain& d, Maddr at, u64 descriptor);

}  // namespace domus::pv
