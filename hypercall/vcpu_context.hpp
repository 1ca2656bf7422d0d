// SPDX-License-Identifier: GPL-2.0-or-later
// A vCPU's context in a caller's memory, in the layout of the guest that it is of.
#pragma once

#include "mm/box.hpp"
#include "port/guest_ptr.hpp"
#include "pv/context32.hpp"

namespace domus::hypercall {

// EFAULT; ENOMEM.
inline Result<> read_context(bool is_32bit, u64 address, vcpu_guest_context_t& to) {
    if (!is_32bit) return GuestIn<vcpu_guest_context_t>(address).read(0, &to, 1);
    Box<vcpu_guest_context_x86_32> narrow = TRY(make<vcpu_guest_context_x86_32>());
    TRY(GuestIn<vcpu_guest_context_x86_32>(address).read(0, &*narrow, 1));
    pv::widen_context(*narrow, to);
    return {};
}

inline Result<> write_context(bool is_32bit, const vcpu_guest_context_t& context, u64 address) {
    if (!is_32bit) return GuestOut<vcpu_guest_context_t>(address).write(0, &context, 1);
    Box<vcpu_guest_context_x86_32> narrow = TRY(make<vcpu_guest_context_x86_32>());
    pv::narrow_context(context, *narrow);
    return GuestOut<vcpu_guest_context_x86_32>(address).write(0, &*narrow, 1);
}

}  // namespace domus::hypercall
