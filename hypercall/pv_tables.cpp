// SPDX-License-Identifier: GPL-2.0-or-later
// set_gdt (2) and update_descriptor (10): decoding for pv/gdt.
#include <array>

#include "hypercall/families.hpp"
#include "pv/gdt.hpp"

namespace domus::hypercall {

Result<> set_gdt(Caller& caller, GuestAddr frames, u32 entries) {
    if (entries > pv::kGuestGdtEntries) return fail(Error::inval);
    const u32 pages = (entries + pv::kDescriptorsPerPage - 1) / pv::kDescriptorsPerPage;
    std::array<u64, pv::kGuestGdtPages> numbers;
    if (pages != 0) TRY(frames.in<u64>().read(0, numbers.data(), pages));
    std::array<Mfn, pv::kGuestGdtPages> list;
    for (u32 i = 0; i < pages; i++) list[i] = Mfn(numbers[i]);
    return pv::set_gdt(caller.vcpu, std::span(list).first(pages), entries);
}

Result<> update_descriptor(Caller& caller, u64 address, u64 descriptor) {
    return pv::update_descriptor(caller.domain, Maddr(address), descriptor);
}

}  // namespace domus::hypercall
