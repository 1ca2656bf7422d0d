// SPDX-License-Identifier: GPL-2.0-or-later
// Model-specific registers as a PV guest's kernel sees them.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {
struct Vcpu;
namespace pv {

// EINVAL: the register does not exist for this guest, or refuses the value: the guest gets #GP.
Result<u64> read_msr(const Vcpu& v, u32 msr);
Result<> write_msr(Vcpu& v, u32 msr, u64 value);

// The page attribute table that PV guests find programmed: their page-table entries choose memory types by
// it. In the order of its eight entries: WB, WT, UC-, UC, WC, WP, UC, UC (AMD APM vol. 2, 7.8).
inline constexpr u64 kPvPat = 0x0000050100070406;

}  // namespace pv
}  // namespace domus
