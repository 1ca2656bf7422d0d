// SPDX-License-Identifier: GPL-2.0-or-later
// domctl: which device memory, I/O ports and interrupts a domain may use. Nobody can give what it may not use
// itself.
#include "base/log.hpp"
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "hypercall/domctl.hpp"
#include "mm/page_type.hpp"

namespace domus::hypercall {

namespace {

constexpr u64 kMachineFrames = u64{1} << (52 - kPageShift);  // what an entry of a page table can name

Result<> change(Caller& caller, core::RangeSet Domain::* caps, Domain& d, core::Range range, bool allow,
                const char* what) {
    if (!(caller.domain.*caps).contains(range.first, range.last)) {
        guest_log(Level::warning, "d{}: {} {:#x} to {:#x} are not its own to give to d{}", caller.domain.id,
                  what, range.first, range.last, d.id);
        return fail(Error::perm);
    }
    core::RangeSet& set = d.*caps;
    return allow ? set.add(range.first, range.last) : set.remove(range.first, range.last);
}

Result<core::Range> frames(u64 first, u64 count) {
    if (count == 0 || first >= kMachineFrames || count > kMachineFrames - first) return fail(Error::inval);
    return core::Range{first, first + count - 1};
}

}  // namespace

Result<> domctl_iomem_permission(Caller& caller, Domain& d, const xen_domctl_iomem_permission& arg) {
    const core::Range range = TRY(frames(arg.first_mfn, arg.nr_mfns));
    return change(caller, &Domain::iomem_caps, d, range, arg.allow_access != 0, "device memory, frames");
}

Result<> domctl_ioport_permission(Caller& caller, Domain& d, const xen_domctl_ioport_permission& arg) {
    constexpr u32 kPorts = 0x10000;
    if (arg.nr_ports == 0 || arg.first_port >= kPorts || arg.nr_ports > kPorts - arg.first_port)
        return fail(Error::inval);
    return change(caller, &Domain::ioport_caps, d, {arg.first_port, arg.first_port + arg.nr_ports - 1},
                  arg.allow_access != 0, "I/O ports");
}

Result<> domctl_irq_permission(Caller& caller, Domain& d, const xen_domctl_irq_permission& arg) {
    return change(caller, &Domain::irq_caps, d, {arg.pirq, arg.pirq}, arg.allow_access != 0, "interrupts");
}

// A PV guest maps device memory itself, wherever it likes: there is nothing to do but to say whether it may.
Result<> domctl_memory_mapping(Caller& caller, Domain& d, const xen_domctl_memory_mapping& arg) {
    const core::Range range = TRY(frames(arg.first_mfn, arg.nr_mfns));
    TRY(frames(arg.first_gfn, arg.nr_mfns));
    if (!caller.domain.iomem_caps.contains(range.first, range.last) ||
        !d.iomem_caps.contains(range.first, range.last))
        return fail(Error::perm);
    return {};
}

// For guests with an emulated interrupt controller.
Result<> domctl_bind_pt_irq(Caller&, Domain&) { return fail(Error::inval); }

Result<> domctl_set_target(Caller& caller, Domain& d, const xen_domctl_set_target& arg) {
    const Domain* const target = core::find_domain(DomId(arg.target));
    if (target == nullptr) return fail(Error::srch);
    if (target == &d) return fail(Error::inval);
    guest_log(Level::warning,
              "d{}: set_target: d{} has no emulated devices that d{} could serve; use type=\"pv\"",
              caller.domain.id, target->id, d.id);
    return fail(Error::opnotsupp);
}

Result<> domctl_no_iommu(Caller& caller, DomctlHeader&) {
    guest_log(Level::warning, "d{}: devices cannot be assigned: Domus drives no IOMMU", caller.domain.id);
    return fail(Error::opnotsupp);
}

}  // namespace domus::hypercall
