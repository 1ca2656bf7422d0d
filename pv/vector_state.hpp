// SPDX-License-Identifier: GPL-2.0-or-later
// A vCPU's XSAVE state as control software saves and restores it: the standard (not compacted) format of
// Intel SDM vol. 1, 13.4, as large as the components that the guest has ever switched on need.
#pragma once

#include <span>

#include "base/result.hpp"
#include "core/vcpu.hpp"

namespace domus::pv {

// Bits of MXCSR that every 64-bit processor takes, denormals-are-zeros (bit 6) among them; others fault when
// they are loaded (Intel SDM vol. 1, 10.2.3).
inline constexpr u32 kMxcsrMask = 0xffff;

// The components that a guest may switch on in XCR0; 0: it has no XSAVE.
u64 vector_components(const Vcpu& v);
// Bytes of an area with these components.
u32 vector_area_bytes(const Vcpu& v, u64 components);
// What the guest has switched on, now or before: the components whose state is worth saving.
u64 vector_components_used(const Vcpu& v);

// Installs an area, in a vCPU that is on no CPU, with what XCR0 is and the components that it may hold.
// EINVAL: sizes or components do not fit together, or an area that the CPU would not load.
Result<> set_vector_area(Vcpu& v, u64 xcr0, u64 components, std::span<u8> area);

}  // namespace domus::pv
