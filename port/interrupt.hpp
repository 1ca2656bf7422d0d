// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupts of devices: a line is allocated, a handler attached, the line unmasked.
//
// A line delivers while it is neither masked nor in service. An edge-triggered line (every MSI) is never in
// service: the implementation acknowledges it before it calls the handler. A level-triggered line is in
// service from before the handler is called until irq_eoi(): until then the device's request, which stays
// asserted, must not reach a CPU again. Handlers run with interrupts off and may run on any CPU; they must
// not allocate or wait. Masking does not nest: mask and unmask set a state.
#pragma once

#include <span>

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {

using IrqId = Strong<struct IrqIdTag, u32>;  // an allocated line of the machine, dense from 0

enum class Trigger : u8 { edge, level };
enum class Polarity : u8 { high, low };

// A PCI device's place: segment, bus, device and function (devfn = device << 3 | function).
struct PciAddress {
    u16 segment = 0;
    u8 bus = 0;
    u8 devfn = 0;
    constexpr bool operator==(const PciAddress&) const = default;
};

struct IrqHandler {
    void (*run)(IrqId irq, void* arg) = nullptr;
    void* arg = nullptr;
};

// What PHYSDEVOP_map_pirq says of a message-signalled interrupt (public physdev.h).
struct MsiRequest {
    PciAddress device;
    u16 entry = 0;       // MSI-X: the table's row. MSI: 0
    u64 table_base = 0;  // MSI-X: the table's physical address, bytes. 0 means MSI
};

namespace port {

// Global system interrupts exist in [0, gsi_count()); a number in between that no I/O APIC serves is refused.
u32 gsi_count();

// Sets a GSI's trigger mode and polarity (ACPI's _PRT or MADT overrides). A line whose handler is attached
// keeps what it has: EBUSY if asked for something else. EINVAL: no such GSI.
Result<> gsi_configure(Gsi gsi, Trigger trigger, Polarity polarity);

// The line of a GSI, allocated (with a vector) the first time, masked; also a line that the hypervisor uses
// itself (console), which then has its handler. EINVAL: no such GSI, ENOSPC: no vector.
Result<IrqId> irq_allocate_gsi(Gsi gsi);

// Allocates lines.size() lines for a device's MSI (1, 2, 4, … 32 for multi-message MSI; 1 for MSI-X), writes
// address and data into the device and enables the capability; each line is masked until unmasked. EINVAL,
// ENODEV: no such device or capability, EEXIST: the entry is in use, ENOSPC: no vectors, EOPNOTSUPP.
Result<> irq_allocate_msi(const MsiRequest& request, std::span<IrqId> lines);

// A level-triggered line needs irq_eoi() after each delivery.
Trigger irq_trigger(IrqId irq);

// Gives a line its handler; delivery starts with irq_unmask(). EBUSY: it has one already.
Result<> irq_attach(IrqId irq, IrqHandler handler);
// Masks the line, ends its service and takes the handler away; on return the handler runs on no CPU.
void irq_detach(IrqId irq);

void irq_mask(IrqId irq);
void irq_unmask(IrqId irq);
void irq_eoi(IrqId irq);

// Moves delivery to a CPU; takes effect with the next interrupt. ENOSPC: that CPU has no free vector.
Result<> irq_set_affinity(IrqId irq, CpuId cpu);

// Gives the line back; it is detached. An MSI's entry in the device is disabled.
void irq_free(IrqId irq);

}  // namespace port
}  // namespace domus
