// SPDX-License-Identifier: GPL-2.0-or-later
// Hypercalls that exist in the ABI and that Domus answers, as a whole, with an error that their callers know
// how to take.
#include "abi/xen.hpp"
#include "hypercall/families.hpp"
#include "hypercall/refusal.hpp"

namespace domus::hypercall {

// Virtual performance counters are not offered; kernels probe at boot and go without.
Result<s64> xenpmu_op(Caller&, u32, GuestAddr) { return fail(Error::opnotsupp); }

// Only guests with an emulated machine have parameters.
Result<s64> hvm_op(Caller& caller, u32 command, GuestAddr) {
    name_missing(caller, "hvm_op", command);
    return fail(Error::nosys);
}

}  // namespace domus::hypercall
