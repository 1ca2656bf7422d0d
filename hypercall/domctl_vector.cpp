// SPDX-License-Identifier: GPL-2.0-or-later
// domctl: the vector state of a vCPU beyond what vcpu_guest_context_t holds. The buffer begins with XCR0 and
// the components that the area after it holds.
#include <array>
#include <cstring>

#include "core/domain.hpp"
#include "hypercall/domctl.hpp"
#include "hypercall/domctl_vcpu.hpp"
#include "mm/box.hpp"
#include "pv/vector_state.hpp"

namespace domus::hypercall {

namespace {

constexpr u64 kPrefixBytes = 2 * sizeof(u64);

}  // namespace

Result<> domctl_getvcpuextstate(Caller& caller, Domain& d, xen_domctl_vcpuextstate& arg) {
    Vcpu& v = *TRY(vcpu_of_another(caller, d, arg.vcpu));
    const Stopped stopped(v);
    const u64 possible = pv::vector_components(v);
    const u64 used = pv::vector_components_used(v);
    const u64 bytes = possible != 0 ? kPrefixBytes + pv::vector_area_bytes(v, used) : 0;
    if (arg.size == 0 && arg.xfeature_mask == 0) {
        arg.size = bytes;
        arg.xfeature_mask = possible;
        return {};
    }
    if (arg.size != bytes || arg.xfeature_mask != possible) return fail(Error::inval);
    const GuestAddr buffer(reinterpret_cast<u64>(arg.buffer.p));
    const std::array<u64, 2> prefix{v.pv.xcr0, used};
    TRY(buffer.out<u64>().write(0, prefix.data(), prefix.size()));
    return buffer.offset(kPrefixBytes).out<u8>().write(0, v.pv.fpu_area, bytes - kPrefixBytes);
}

Result<> domctl_setvcpuextstate(Caller& caller, Domain& d, const xen_domctl_vcpuextstate& arg) {
    Vcpu& v = *TRY(vcpu_of_another(caller, d, arg.vcpu));
    const u64 most = kPrefixBytes + pv::vector_area_bytes(v, pv::vector_components(v));
    if (arg.size < kPrefixBytes || arg.size > most) return fail(Error::inval);
    const GuestAddr buffer(reinterpret_cast<u64>(arg.buffer.p));
    std::array<u64, 2> prefix;
    TRY(buffer.in<u64>().read(0, prefix.data(), prefix.size()));
    // A vCPU that has never used it.
    if (arg.size == kPrefixBytes && prefix[1] == 0) return {};
    Array<u8> area = TRY(make_array<u8>(arg.size - kPrefixBytes));
    TRY(buffer.offset(kPrefixBytes).in<u8>().read(0, area.data(), area.size()));
    const Stopped stopped(v);
    return pv::set_vector_area(v, prefix[0], prefix[1], {area.data(), area.size()});
}

}  // namespace domus::hypercall
