// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's interrupt hardware: set up at boot from ACPI's tables, then served through
// port/interrupt.hpp.
#pragma once

#include <optional>

#include "arch_devices/irq_table.hpp"
#include "arch_devices/local_apic.hpp"
#include "drivers/acpi.hpp"
#include "drivers/pci.hpp"
#include "drivers/uart.hpp"

namespace domus::x86 {

struct InterruptOptions {
    bool x2apic = false;  // use x2APIC mode even where nothing forces it (if the CPU has it)
};

// On the boot CPU, after find_cpus(): 8259s, local APIC, I/O APICs, PCI configuration space. NODEV: the
// machine has no I/O APIC or local APIC as ACPI describes them; the reason is logged. ENOMEM.
Result<> init_interrupts(const AcpiInfo& acpi, const InterruptOptions& options);

// This CPU's local APIC. For each CPU that starts later.
void enable_local_apic();

LocalApic& local_apic();
IrqTable& irq_table();
PciConfig& pci_config();

// The machine address of the n-th I/O APIC's registers; empty beyond the last.
std::optional<Maddr> io_apic_at(u32 n);

// A register of the I/O APIC whose window is at this machine address. EINVAL: there is none.
Result<u32> read_io_apic(u64 base, u32 reg);

// Takes input of a serial port by interrupt (its `irq` option) to console::receive(). NODEV: it has no
// interrupt; IO: an interrupt that was provoked did not come. The caller polls then.
Result<> connect_uart(Uart& uart);

}  // namespace domus::x86
