// SPDX-License-Identifier: GPL-2.0-or-later
// set_gdt (2) and update_descriptor (10): decoding for pv/gdt.
#include <array>

#include "hypercall/families.hpp"
#include "hypercall/wire.hpp"
#include "pv/gdt.hpp"

namespace domus::hypercall {

template <class L>
Result<> set_gdt(Caller& caller, GuestAddr frames, u32 entries) {
    if (entries > pv::kGuestGdtEntries) return fail(Error::inval);
    const u32 pages = (entries + pv::kDescriptorsPerPage - 1) / pv::kDescriptorsPerPage;
    const auto numbers = GuestLongs::of<L>(frames.raw());
    std::array<Mfn, pv::kGuestGdtPages> list;
    for (u32 i = 0; i < pages; i++) list[i] = Mfn(TRY(numbers.read(i)));
    return pv::set_gdt(caller.vcpu, std::span(list).first(pages), entries);
}
template Result<> set_gdt<Layout64>(Caller&, GuestAddr, u32);
template Result<> set_gdt<Layout32>(Caller&, GuestAddr, u32);

Result<> update_descriptor(Caller& caller, u64 address, u64 descriptor) {
    return pv::update_descriptor(caller.domain, Maddr(address), descriptor);
}

}  // namespace domus::hypercall
