// SPDX-License-Identifier: GPL-2.0-or-later
// The edge: from the registers of a hypercall instruction to a handler and back.
#pragma once

#include <span>

#include "arch_state/regs.hpp"
#include "core/vcpu.hpp"
#include "hypercall/layout.hpp"
#include "hypercall/thunk.hpp"

namespace domus::hypercall {

inline constexpr u32 kTableSize = 64;  // hypercall numbers are below this

// Rows in use, in rising order of number.
template <class L = Layout64>
std::span<const Row> rows();
// The row of a number; an unused number has a null thunk. Precondition: number < kTableSize.
template <class L = Layout64>
const Row& row_of(u32 number);

// Runs the hypercall that a PV guest's kernel made, its registers in `regs`. On return `regs` is what
// the guest goes on with: a result in rax, or, when the call was preempted, the same instruction again with
// new arguments.
template <class L = Layout64>
void dispatch(Vcpu& vcpu, GuestRegs& regs);

// One call on argument words, as an entry of a multicall makes it: permission check, ENOSYS for unknown
// numbers.
template <class L>
Outcome call(Caller& caller, u64 number, Words& words);

// multicall (13): runs `count` entries of the guest's list; each entry's result is written into it.
template <class L>
Preemptible<GuestAddr, u32> multicall(Caller& caller, GuestAddr list, u32 count);

// Fills a 4096-byte hypercall page, of 64-bit or of 32-bit guests: stub n, at byte 32*n, makes hypercall n.
void fill_hypercall_page(void* page);
void fill_hypercall_page32(void* page);

}  // namespace domus::hypercall
