// SPDX-License-Identifier: GPL-2.0-or-later
// Model-specific registers as a PV guest's kernel sees them: a table of what exists and how it behaves.
#pragma once

#include <span>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {
struct Domain;
struct Vcpu;
namespace pv {

// EINVAL: the register does not exist for this guest, or refuses the value: the guest gets #GP.
Result<u64> read_msr(const Vcpu& v, u32 msr);
Result<> write_msr(Vcpu& v, u32 msr, u64 value);

// The page attribute table that PV guests find programmed: their page-table entries choose memory types by
// it. In the order of its eight entries: WB, WT, UC-, UC, WC, WP, UC, UC (AMD APM vol. 2, 7.8).
inline constexpr u64 kPvPat = 0x0000050100070406;

// Has the domain's processor a TSC_AUX register?
bool has_tsc_aux(const Domain& d);
// The time stamp counter as the vCPU has it now.
u64 guest_tsc(const Vcpu& v);

struct MsrRow {
    enum class For : u8 { all, intel, amd };  // whose processors have the registers
    enum class Write : u8 {
        refuse,
        ignore,   // any value, without effect
        zero,     // 0 alone
        special,  // `write`
    };
    u32 first, last;  // inclusive
    For on;
    Write on_write;
    u64 value = 0;  // what is read, unless `read` says it
    Result<u64> (*read)(const Vcpu& v, u32 msr) = nullptr;
    Result<> (*write)(Vcpu& v, u32 msr, u64 value) = nullptr;
};
// In rising order. For tests, and for those who wonder.
std::span<const MsrRow> msr_rows();

}  // namespace pv
}  // namespace domus
