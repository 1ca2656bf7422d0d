// SPDX-License-Identifier: GPL-2.0-or-later
// A PV guest's local descriptor table: pages of its address space that become descriptor pages when first
// used.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {
struct Vcpu;
namespace pv {

inline constexpr unsigned kLdtPages = 16;

// The frame of the current vCPU's LDT page (0 to 15), with a descriptor-page type reference taken for it and
// kept in Vcpu::pv until release_ldt(). EFAULT: beyond the table or not mapped; EINVAL: not usable as a
// descriptor page.
Result<Mfn> ldt_page(Vcpu& v, unsigned page);

// Drops all references; the caller has unmapped the pages on the vCPU's CPU.
void release_ldt(Vcpu& v);

}  // namespace pv
}  // namespace domus
