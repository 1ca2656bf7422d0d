// SPDX-License-Identifier: GPL-2.0-or-later
// The end of the machine: port/machine.hpp and machine_shutdown().
#include "arch/shutdown.hpp"

#include "abi/xen.hpp"
#include "arch/crash.hpp"
#include "arch/insn.hpp"
#include "arch/interrupts.hpp"
#include "arch/time.hpp"
#include "base/log.hpp"
#include "drivers/console.hpp"
#include "port/context.hpp"
#include "port/machine.hpp"

namespace domus::x86 {

namespace {

constinit const AcpiInfo* acpi = nullptr;
constinit ShutdownOptions options;

// An exception without a descriptor table shuts the CPU down, which the board turns into a reset.
[[noreturn]] void triple_fault() {
    struct [[gnu::packed]] {
        u16 limit = 0;
        u64 base = 0;
    } no_table;
    asm volatile("lidt %0; int3" : : "m"(no_table));
    halt_forever();
}

[[noreturn]] void reboot() {
    cli();
    const AcpiInfo none;
    reset_machine(acpi != nullptr ? *acpi : none, pci_config(), options.reset, [](u32 us) { delay_us(us); });
    triple_fault();
}

}  // namespace

void last_resort() {
    if (options.noreboot) halt_forever();
    triple_fault();
}

void init_shutdown(const AcpiInfo& tables, const ShutdownOptions& wanted) {
    acpi = &tables;
    options = wanted;
}

}  // namespace domus::x86

namespace domus::port {

using namespace x86;

void machine_crashed() {
    cli();
    if (options.noreboot) {
        log(Level::error, "Stopped here, as noreboot asks.");
        halt_forever();
    }
    log(Level::error, "Rebooting in five seconds.");
    for (int i = 0; i < 5000; i++) delay_us(1000);
    reboot();
}

void machine_shutdown(u32 reason) {
    cli();
    switch (reason) {
        case SHUTDOWN_poweroff:
            // ACPI's way goes through enter_sleep(); who comes here has none.
            log(Level::warning, "Dom0 has shut down and asked for power off: the machine stops.");
            halt_forever();
        case SHUTDOWN_crash: report_dom0_crash();
        default:
            if (reason != SHUTDOWN_reboot) log(Level::error, "Dom0 has shut down, reason {}.", reason);
            if (options.noreboot && reason != SHUTDOWN_reboot) {
                log(Level::error, "Stopped here, as noreboot asks.");
                halt_forever();
            }
            log(Level::info, "Dom0 has shut down: rebooting the machine.");
            reboot();
    }
}

Result<> enter_sleep(u16 pm1a_control, u16 pm1b_control) {
    if (acpi == nullptr) return fail(Error::nodev);
    return x86::enter_sleep(acpi->fadt, pm1a_control, pm1b_control, [](u32 us) { delay_us(us); });
}

}  // namespace domus::port
