// SPDX-License-Identifier: GPL-2.0-or-later
// port/interrupt.hpp over the machine's table of lines; arriving vectors; requests between CPUs.
#include "port/interrupt.hpp"

#include "arch/cpu.hpp"
#include "arch/interrupts.hpp"
#include "arch/irq_entry.hpp"
#include "arch_devices/vectors.hpp"
#include "base/log.hpp"
#include "port/cpu.hpp"

namespace domus::x86 {

void send_ipi(CpuId cpu, Ipi) { local_apic().send(cpu_state(cpu).apic_id, kVectorKick); }

void handle_interrupt(u8 vector) {
    switch (vector) {
        case kVectorTimer:
            local_apic().eoi();
            port::raise_work(port::Work::timer);
            return;
        case kVectorKick:
            local_apic().eoi();
            serve_flush_requests();  // a kick that is none costs two loads more
            return;
        case kVectorApicError:
            local_apic().eoi();
            log(Level::warning, "local APIC error {:#x} on CPU {}", local_apic().take_error(),
                port::this_cpu());
            return;
        case kVectorSpurious: return;
        default: break;
    }
    if (vector >= kVectorPic && vector <= kVectorPicLast) return;  // a masked 8259's spurious request
    irq_table().deliver(port::this_cpu(), vector);
}

}  // namespace domus::x86

namespace domus::port {

using x86::irq_table;

u32 gsi_count() { return irq_table().gsi_count(); }
Result<> gsi_configure(Gsi gsi, Trigger trigger, Polarity polarity) {
    return irq_table().configure(gsi, trigger, polarity);
}
Result<IrqId> irq_allocate_gsi(Gsi gsi) { return irq_table().allocate_gsi(gsi); }
Result<> irq_allocate_msi(const MsiRequest& request, std::span<IrqId> lines) {
    return irq_table().allocate_msi(request, lines);
}
Trigger irq_trigger(IrqId irq) { return irq_table().trigger(irq); }
Result<> irq_attach(IrqId irq, IrqHandler handler) { return irq_table().attach(irq, handler); }
void irq_detach(IrqId irq) { irq_table().detach(irq); }
void irq_mask(IrqId irq) { irq_table().mask(irq); }
void irq_unmask(IrqId irq) { irq_table().unmask(irq); }
void irq_eoi(IrqId irq) { irq_table().eoi(irq); }
Result<> irq_set_affinity(IrqId irq, CpuId cpu) { return irq_table().set_affinity(irq, cpu); }
void irq_free(IrqId irq) { irq_table().free(irq); }

}  // namespace domus::port
