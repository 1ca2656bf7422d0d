// SPDX-License-Identifier: GPL-2.0-or-later
// physdev_op (33) and its predecessor (19): interrupts, I/O privileges and PCI devices of the hardware
// domain.
#include "abi/xen.hpp"
#include "base/log.hpp"
#include "core/pirq.hpp"
#include "hypercall/command.hpp"
#include "hypercall/families.hpp"
#include "hypercall/platform.hpp"
#include "hypercall/target.hpp"
#include "port/interrupt.hpp"

namespace domus::hypercall {

namespace {

// ---- interrupts ---------------------------------------------------------------------------------

Result<> eoi(Caller& caller, const physdev_eoi_t& arg) {
    return core::end_pirq(caller.domain, Pirq(arg.irq));
}

Result<> pirq_eoi_gmfn_v1(Caller& caller, const physdev_pirq_eoi_gmfn_t& arg) {
    return core::register_eoi_page(caller.domain, Mfn(arg.gmfn), true);
}
Result<> pirq_eoi_gmfn_v2(Caller& caller, const physdev_pirq_eoi_gmfn_t& arg) {
    return core::register_eoi_page(caller.domain, Mfn(arg.gmfn), false);
}

Result<> irq_status_query(Caller& caller, physdev_irq_status_query_t& arg) {
    arg.flags = TRY(core::pirq_status(caller.domain, Pirq(arg.irq)));
    return {};
}

Result<> setup_gsi(Caller& caller, const physdev_setup_gsi_t& arg) {
    if (arg.gsi < 0 || static_cast<u32>(arg.gsi) >= port::gsi_count()) {
        guest_log(Level::warning, "d{}: physdev_op setup_gsi: no GSI {}; the I/O APICs have 0 to {}",
                  caller.domain.id, arg.gsi, port::gsi_count() - 1);
        return fail(Error::inval);
    }
    const Trigger trigger = arg.triggering != 0 ? Trigger::level : Trigger::edge;
    const Polarity polarity = arg.polarity != 0 ? Polarity::low : Polarity::high;
    const Result<> done = port::gsi_configure(Gsi(static_cast<u32>(arg.gsi)), trigger, polarity);
    // A line in use keeps what it has; kernels know this as "set up already".
    if (!done && done.error() == Error::busy) return fail(Error::exist);
    return done;
}

constexpr s32 kMaxMultiMsi = 32;

Result<Pirq> map_msi(Domain& d, const physdev_map_pirq_t& arg, bool with_segment, s32 count) {
    if (arg.devfn < 0 || arg.devfn > 0xff) return fail(Error::inval);
    const u32 bus = static_cast<u32>(arg.bus);
    if (!with_segment && bus > 0xff) return fail(Error::inval);
    if ((bus & 0xff00) != 0) return fail(Error::inval);
    const bool msix = arg.table_base != 0;
    if (msix && (arg.entry_nr < 0 || arg.entry_nr >= 2048)) return fail(Error::inval);
    const MsiRequest request{.device = {.segment = static_cast<u16>(with_segment ? bus >> 16 : 0),
                                        .bus = static_cast<u8>(bus),
                                        .devfn = static_cast<u8>(arg.devfn)},
                             .entry = static_cast<u16>(msix ? arg.entry_nr : 0),
                             .table_base = arg.table_base};
    return core::map_msi(d, request, static_cast<u32>(count), arg.pirq);
}

// Why an interrupt was not mapped, where the cause can be known from the error.
void tell_unmapped(const Caller& caller, const Domain& d, const physdev_map_pirq_t& arg, Error error) {
    const char* why = nullptr;
    switch (error) {
        case Error::perm: why = "the GSI is not that domain's; domctl irq_permission gives it"; break;
        case Error::nospc:
            why = "no PIRQ, MSI line or CPU's vector is free; fewer interrupts of devices would do";
            break;
        case Error::nodev:
        case Error::noent: why = "the device has no such capability or does not answer"; break;
        default: return;
    }
    guest_log(Level::warning, "d{}: physdev_op map_pirq (type {}, index {}, device {:x}:{:x}) for d{}: {}",
              caller.domain.id, arg.type, arg.index, static_cast<u32>(arg.bus), static_cast<u32>(arg.devfn),
              d.id, why);
}

Result<Pirq> map_pirq_of_type(Domain& d, const physdev_map_pirq_t& arg) {
    switch (arg.type) {
        case MAP_PIRQ_TYPE_GSI:
            if (arg.index < 0) return fail(Error::inval);
            return core::map_gsi(d, Gsi(static_cast<u32>(arg.index)), arg.pirq);
        case MAP_PIRQ_TYPE_MSI:
        case MAP_PIRQ_TYPE_MSI_SEG: return map_msi(d, arg, arg.type == MAP_PIRQ_TYPE_MSI_SEG, 1);
        case MAP_PIRQ_TYPE_MULTI_MSI:
            // Several messages of a device's MSI capability, not of MSI-X.
            if (arg.table_base != 0 || arg.entry_nr <= 0 || arg.entry_nr > kMaxMultiMsi)
                return fail(Error::inval);
            return map_msi(d, arg, true, arg.entry_nr);
        default: return fail(Error::inval);
    }
}

Result<> map_pirq(Caller& caller, physdev_map_pirq_t& arg) {
    Domain* d = TRY(target_domain(caller, arg.domid));
    const Result<Pirq> mapped = map_pirq_of_type(*d, arg);
    if (!mapped) {
        tell_unmapped(caller, *d, arg, mapped.error());
        return fail(mapped.error());
    }
    arg.pirq = static_cast<s32>(mapped->v);
    return {};
}

Result<> unmap_pirq(Caller& caller, const physdev_unmap_pirq_t& arg) {
    if (arg.pirq < 0) return fail(Error::inval);
    return core::unmap_pirq(*TRY(target_domain(caller, arg.domid)), Pirq(static_cast<u32>(arg.pirq)));
}

Result<> get_free_pirq(Caller& caller, physdev_get_free_pirq_t& arg) {
    if (arg.type != MAP_PIRQ_TYPE_GSI && arg.type != MAP_PIRQ_TYPE_MSI) return fail(Error::inval);
    arg.pirq = TRY(core::free_pirq(caller.domain, arg.type == MAP_PIRQ_TYPE_MSI)).v;
    return {};
}

// ---- the I/O APICs, and vectors, which are no longer a domain's business ------------------------

Result<> apic_read(Caller&, physdev_apic_t& arg) {
    if (platform().ioapic_read == nullptr) return fail(Error::nosys);
    arg.value = TRY(platform().ioapic_read(arg.apic_physbase, arg.reg));
    return {};
}

Result<> apic_write(Caller&, const physdev_apic_t& arg) {
    if (platform().ioapic_write == nullptr) return fail(Error::nosys);
    return platform().ioapic_write(arg.apic_physbase, arg.reg, arg.value);
}

// Vectors belong to the hypervisor: a kernel that asks for one gets a number that it will only hand back.
Result<> alloc_irq_vector(Caller&, physdev_irq_t& arg) {
    if (arg.irq >= port::gsi_count()) return fail(Error::inval);
    arg.vector = arg.irq;
    return {};
}

// ---- I/O privileges of the calling vCPU ---------------------------------------------------------

Result<> set_iopl(Caller& caller, const physdev_set_iopl_t& arg) {
    if (arg.iopl > 3) return fail(Error::inval);
    caller.vcpu.pv.iopl = arg.iopl;
    return {};
}

Result<> set_iobitmap(Caller& caller, const physdev_set_iobitmap_t& arg) {
    constexpr u32 kPorts = 65536;
    const u64 address = reinterpret_cast<u64>(arg.bitmap.p);
    if (arg.nr_ports > kPorts) return fail(Error::inval);
    // Read when a port is used, by the ordinary access to guest memory, which refuses what is not the
    // guest's.
    caller.vcpu.pv.iobmp_address = address;
    caller.vcpu.pv.iobmp_limit = address != 0 ? arg.nr_ports : 0;
    return {};
}

// ---- PCI devices --------------------------------------------------------------------------------

Result<> device_added(PciAddress device, bool virtual_function, PciAddress physical) {
    log(Level::info, "PCI add {}{:04x}:{:02x}:{:02x}.{}", virtual_function ? "virtual function " : "device ",
        device.segment, device.bus, device.devfn >> 3, device.devfn & 7);
    // Interrupts are found by the device's address when they are wanted: without an IOMMU nothing has to be
    // kept.
    if (platform().pci_added == nullptr) return {};
    return platform().pci_added(device, virtual_function, physical);
}

Result<> device_removed(PciAddress device) {
    log(Level::info, "PCI remove device {:04x}:{:02x}:{:02x}.{}", device.segment, device.bus,
        device.devfn >> 3, device.devfn & 7);
    if (platform().pci_removed == nullptr) return {};
    return platform().pci_removed(device);
}

Result<> manage_pci_add(Caller&, const physdev_manage_pci_t& arg) {
    return device_added({.segment = 0, .bus = arg.bus, .devfn = arg.devfn}, false, {});
}
Result<> manage_pci_remove(Caller&, const physdev_manage_pci_t& arg) {
    return device_removed({.segment = 0, .bus = arg.bus, .devfn = arg.devfn});
}
Result<> manage_pci_add_ext(Caller&, const physdev_manage_pci_ext_t& arg) {
    if (arg.is_extfn > 1 || arg.is_virtfn > 1) return fail(Error::inval);
    return device_added({.segment = 0, .bus = arg.bus, .devfn = arg.devfn}, arg.is_virtfn != 0,
                        {.segment = 0, .bus = arg.physfn.bus, .devfn = arg.physfn.devfn});
}
Result<> pci_device_add(Caller&, GuestAddr where) {
    // Only the fixed part: the optional node number that may follow is a hint.
    struct Fixed {
        u16 seg;
        u8 bus, devfn;
        u32 flags;
        u8 phys_bus, phys_devfn;
    };
    static_assert(offsetof(Fixed, phys_bus) == offsetof(physdev_pci_device_add_t, physfn));
    const Fixed arg = TRY(where.in<Fixed>().read());
    return device_added({.segment = arg.seg, .bus = arg.bus, .devfn = arg.devfn},
                        (arg.flags & XEN_PCI_DEV_VIRTFN) != 0,
                        {.segment = arg.seg, .bus = arg.phys_bus, .devfn = arg.phys_devfn});
}
Result<> pci_device_remove(Caller&, const physdev_pci_device_t& arg) {
    return device_removed({.segment = arg.seg, .bus = arg.bus, .devfn = arg.devfn});
}

Result<> pci_mmcfg_reserved(Caller& caller, const physdev_pci_mmcfg_reserved_t& arg) {
    if (platform().mmcfg_reserved == nullptr) {
        name_missing(caller, "physdev_op", PHYSDEVOP_pci_mmcfg_reserved);
        return fail(Error::nosys);
    }
    return platform().mmcfg_reserved(arg.segment, arg.start_bus, arg.end_bus, arg.address,
                                     (arg.flags & XEN_PCI_MMCFG_RESERVED) != 0);
}

// The hypervisor uses no USB debug port, so that resetting one disturbs nobody.
Result<> dbgp_op(Caller&, const physdev_dbgp_op_t& arg) {
    if (arg.op != PHYSDEVOP_DBGP_RESET_PREPARE && arg.op != PHYSDEVOP_DBGP_RESET_DONE)
        return fail(Error::nosys);
    if (arg.bus > PHYSDEVOP_DBGP_BUS_PCI) return fail(Error::inval);
    return {};
}

constexpr Who kHardware = Who::hardware, kEither = Who::control_or_hardware;

constexpr Command<> kList[] = {
    command<&irq_status_query>(PHYSDEVOP_irq_status_query, "irq_status_query"),
    command<&set_iopl>(PHYSDEVOP_set_iopl, "set_iopl"),
    command<&set_iobitmap>(PHYSDEVOP_set_iobitmap, "set_iobitmap"),
    command<&apic_read>(PHYSDEVOP_apic_read, "apic_read", kHardware),
    command<&apic_write>(PHYSDEVOP_apic_write, "apic_write", kHardware),
    command<&alloc_irq_vector>(PHYSDEVOP_alloc_irq_vector, "alloc_irq_vector", kHardware),
    command<&eoi>(PHYSDEVOP_eoi, "eoi"),
    command<&map_pirq>(PHYSDEVOP_map_pirq, "map_pirq", kEither),
    command<&unmap_pirq>(PHYSDEVOP_unmap_pirq, "unmap_pirq", kEither),
    command<&manage_pci_add>(PHYSDEVOP_manage_pci_add, "manage_pci_add", kHardware),
    command<&manage_pci_remove>(PHYSDEVOP_manage_pci_remove, "manage_pci_remove", kHardware),
    command<&pirq_eoi_gmfn_v1>(PHYSDEVOP_pirq_eoi_gmfn_v1, "pirq_eoi_gmfn_v1"),
    command<&manage_pci_add_ext>(PHYSDEVOP_manage_pci_add_ext, "manage_pci_add_ext", kHardware),
    command<&setup_gsi>(PHYSDEVOP_setup_gsi, "setup_gsi", kHardware),
    command<&get_free_pirq>(PHYSDEVOP_get_free_pirq, "get_free_pirq"),
    command<&pci_mmcfg_reserved>(PHYSDEVOP_pci_mmcfg_reserved, "pci_mmcfg_reserved", kHardware),
    command<&pci_device_add>(PHYSDEVOP_pci_device_add, "pci_device_add", kHardware),
    command<&pci_device_remove>(PHYSDEVOP_pci_device_remove, "pci_device_remove", kHardware),
    command<&pirq_eoi_gmfn_v2>(PHYSDEVOP_pirq_eoi_gmfn_v2, "pirq_eoi_gmfn_v2"),
    command<&dbgp_op>(PHYSDEVOP_dbgp_op, "dbgp_op", kHardware),
};
constexpr Commands kCommands("physdev_op", kList);

// 32-bit domains have no devices: what is about a vCPU, and what kernels ask before they know.
constexpr Command<> kList32[] = {
    command<Layout32, &irq_status_query>(PHYSDEVOP_irq_status_query, "irq_status_query"),
    command<Layout32, &set_iopl>(PHYSDEVOP_set_iopl, "set_iopl"),
    command<Layout32, &set_iobitmap>(PHYSDEVOP_set_iobitmap, "set_iobitmap"),
    command<Layout32, &eoi>(PHYSDEVOP_eoi, "eoi"),
};
constexpr Commands kCommands32("physdev_op", kList32);

}  // namespace

Result<s64> physdev_op(Caller& caller, u32 command, GuestAddr arg) {
    return kCommands.call(caller, command, arg);
}

Result<s64> physdev_op32(Caller& caller, u32 command, GuestAddr arg) {
    return kCommands32.call(caller, command, arg);
}

Result<s64> physdev_op_compat(Caller& caller, GuestAddr op) {
    // {u32 command; union of the first commands' structures}: the structure is used where it lies.
    const u32 command = TRY(op.in<u32>().read());
    return kCommands.call(caller, command, op.offset(offsetof(physdev_op_t, u)));
}

}  // namespace domus::hypercall
