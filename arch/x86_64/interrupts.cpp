// SPDX-License-Identifier: GPL-2.0-or-later
// Brings up the interrupt hardware.
#include "arch/interrupts.hpp"

#include <array>
#include <atomic>

#include "arch/boot_array.hpp"
#include "arch/cpu.hpp"
#include "arch/features.hpp"
#include "arch/smp.hpp"
#include "arch/time.hpp"
#include "arch_devices/pic.hpp"
#include "base/log.hpp"
#include "drivers/console_input.hpp"
#include "port/cpu.hpp"
#include "port/memory.hpp"

namespace domus::x86 {

namespace {

constinit LocalApic apic;
constinit IrqTable table;
constinit PciConfig pci;

// The pin NMI comes in by, on every CPU; ACPI may say otherwise for single ones, which no machine is known to
// do.
u8 nmi_lint = 1;
Trigger nmi_trigger = Trigger::edge;
Polarity nmi_polarity = Polarity::high;

constexpr u64 kDefaultLocalApic = 0xfee00000;

bool must_use_x2apic() {
    if (LocalApic::firmware_uses_x2apic()) return true;
    for (u32 i = 0; i < candidate_count(); i++)
        if (candidate(i).apic_id >= 255) return true;
    return false;
}

Result<> init_local_apic(const AcpiInfo& acpi, const InterruptOptions& options) {
    const bool x2apic = features.x2apic && (options.x2apic || must_use_x2apic());
    volatile void* page = nullptr;
    if (!x2apic) {
        const u64 at = acpi.local_apic.v != 0 ? acpi.local_apic.v : kDefaultLocalApic;
        page = TRY(port::map_device(Maddr(at), kPageSize));
    }
    apic.setup(page, x2apic);
    enable_local_apic();
    log(Level::info, "Local APIC: version {:#x}, {} mode, ID {}", apic.version() & 0xff,
        x2apic ? "x2APIC" : "xAPIC", apic.id());
    return {};
}

// Where each I/O APIC's registers are, for the hardware domain's reads; a machine has a handful.
struct IoApicWindow {
    Maddr at;
    IoApic* apic = nullptr;
};
constinit std::array<IoApicWindow, 64> io_apic_windows{};

Result<> init_io_apics(const AcpiInfo& acpi) {
    u32 count = 0;
    for_each_madt_entry(acpi.madt, [&](const MadtEntry& e) { count += e.kind == MadtEntry::Kind::io_apic; });
    const std::span<IoApic> all = TRY(boot_array<IoApic>(count));
    u32 working = 0;
    Result<> result{};
    for_each_madt_entry(acpi.madt, [&](const MadtEntry& e) {
        if (e.kind != MadtEntry::Kind::io_apic || !result) return;
        auto page = port::map_device(Maddr(round_down(e.at.v, kPageSize)), kPageSize);
        if (!page) {
            result = fail(page.error());
            return;
        }
        IoApic& a = all[working];
        if (!a.init(static_cast<u8*>(*page) + e.at.v % kPageSize, e.gsi)) {
            log(Level::error, "I/O APIC {} at {:#x} does not answer: ignored", e.io_apic_id, e.at);
            return;
        }
        if (working < io_apic_windows.size()) io_apic_windows[working] = {e.at, &a};
        log(Level::info, "I/O APIC {} at {:#x}: GSI {} to {}", e.io_apic_id, e.at, e.gsi,
            e.gsi.v + a.pins() - 1);
        working++;
    });
    TRY(result);
    if (working == 0) {
        log(Level::error, "ACPI names no working I/O APIC");
        return fail(Error::nodev);
    }

    const u32 cpus = candidate_count();
    u32 gsis = 0;
    for (const IoApic& a : all.first(working))
        gsis = a.first().v + a.pins() > gsis ? a.first().v + a.pins() : gsis;
    if (gsis > 4096) {
        log(Level::error, "ACPI numbers interrupts up to {}: not believed", gsis);
        return fail(Error::nodev);
    }
    const u32 msis = 64 + 64 * (cpus < 64 ? cpus : 64);
    IrqTable::Config config;
    config.apic = &apic;
    config.io_apics = all.first(working);
    config.vectors = TRY(boot_array<VectorMap>(cpus));
    config.lines = TRY(boot_array<IrqLine>(gsis + msis));
    config.pci = acpi.fadt.has_msi ? &pci : nullptr;
    config.apic_id = [](CpuId cpu) { return cpu_state(cpu).apic_id; };
    config.map_page = [](Maddr at, u64 size) { return port::map_device(at, size); };
    table.init(config);
    for_each_madt_entry(acpi.madt, [](const MadtEntry& e) {
        if (e.kind == MadtEntry::Kind::isa_override)
            table.set_isa_override(e.isa_irq, e.gsi, e.trigger, e.polarity);
    });
    return {};
}

void init_pci(const AcpiInfo& acpi) {
    for (usize i = 0;; i++) {
        const auto e = mcfg_entry(acpi.mcfg, i);
        if (!e) break;
        if (e->first_bus > e->last_bus || e->base.v % kMiB != 0) continue;
        const u64 offset = u64{e->first_bus} << 20;
        const u64 size = u64{e->last_bus - e->first_bus + 1u} << 20;
        auto mapped = port::map_device(e->base + offset, size);
        if (!mapped ||
            !pci.add_ecam({e->segment, e->first_bus, e->last_bus, static_cast<u8*>(*mapped) - offset})) {
            log(Level::warning, "PCI: cannot map the configuration space of segment {}", e->segment);
            continue;
        }
        log(Level::info, "PCI: segment {}, buses {} to {}, at {:#x}", e->segment, e->first_bus, e->last_bus,
            e->base);
    }
}

}  // namespace

LocalApic& local_apic() { return apic; }
IrqTable& irq_table() { return table; }
PciConfig& pci_config() { return pci; }

void enable_local_apic() { apic.enable(nmi_lint, nmi_trigger, nmi_polarity); }

Result<> init_interrupts(const AcpiInfo& acpi, const InterruptOptions& options) {
    disable_pic();
    for_each_madt_entry(acpi.madt, [](const MadtEntry& e) {
        if (e.kind != MadtEntry::Kind::local_nmi || e.acpi_id != ~u32{0} || e.lint > 1) return;
        nmi_lint = e.lint;
        nmi_trigger = e.trigger;
        nmi_polarity = e.polarity;
    });
    TRY(init_local_apic(acpi, options));
    init_pci(acpi);
    return init_io_apics(acpi);
}

Result<> connect_uart(Uart& uart) {
    static constinit std::atomic<u32> uart_interrupts{0};
    if (!uart.present() || uart.config().irq == 0) return fail(Error::nodev);
    const IrqHandler receive{[](IrqId line, void* device) {
                                 char text[64];
                                 auto* port = static_cast<Uart*>(device);
                                 uart_interrupts.fetch_add(1, std::memory_order_relaxed);
                                 port->acknowledge();
                                 while (const usize n = port->read(text)) console::receive({text, n});
                                 table.eoi(line);
                             },
                             &uart};
    const IrqId irq = TRY(table.claim_gsi(table.isa_gsi(uart.config().irq), receive));
    table.unmask(irq);
    constexpr u32 kTries = 200, kPauseUs = 100;
    uart.provoke_interrupt();
    for (u32 i = 0; i < kTries && uart_interrupts.load(std::memory_order_relaxed) == 0; i++) {
        delay_us(kPauseUs);
        (void)port::preempt_wanted();  // the window for interrupts
    }
    uart.enable_interrupt();
    if (uart_interrupts.load(std::memory_order_relaxed) != 0) return {};
    table.detach(irq);
    table.free(irq);
    return fail(Error::io);
}

std::optional<Maddr> io_apic_at(u32 n) {
    if (n >= io_apic_windows.size() || io_apic_windows[n].apic == nullptr) return std::nullopt;
    return io_apic_windows[n].at;
}

Result<u32> read_io_apic(u64 base, u32 reg) {
    for (const IoApicWindow& w : io_apic_windows)
        if (w.apic != nullptr && w.at.v == base && reg <= 0xff)
            return w.apic->read_register(static_cast<u8>(reg));
    return fail(Error::inval);
}

}  // namespace domus::x86
