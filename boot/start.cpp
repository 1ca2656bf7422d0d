// SPDX-License-Identifier: GPL-2.0-or-later
// The first C++ after boot.S: brings the machine up, builds dom0, and leaves to it. One function a stage, in
// the order in which they need each other.
#include "boot/start.hpp"

#include <atomic>

#include "arch/cpu.hpp"
#include "arch/cpu_area.hpp"
#include "arch/crash.hpp"
#include "arch/features.hpp"
#include "arch/idt.hpp"
#include "arch/interrupts.hpp"
#include "arch/patch.hpp"
#include "arch/shutdown.hpp"
#include "arch/smp.hpp"
#include "arch/time.hpp"
#include "base/log.hpp"
#include "boot/bios_video.hpp"
#include "boot/multiboot.hpp"
#include "core/init.hpp"
#include "core/scheduler.hpp"
#include "drivers/acpi.hpp"
#include "drivers/console.hpp"
#include "port/machine.hpp"
#include "port/memory.hpp"
#include "pv/cpu_policy.hpp"

extern "C" [[noreturn]] void call_on_stack(domus::u64 stack, void (*function)(void*), void* argument);
extern "C" [[noreturn]] void start_guests();

namespace domus::boot {

constinit BootInfo boot_info;
constinit BootOptions options;

namespace {

constinit AcpiInfo acpi;
constinit std::atomic<bool> core_ready{false};

// Boot tables map the first 4 GiB at the direct map.
const void* view_low(void*, Maddr at, u64 size) {
    return at.v < 4 * kGiB && size <= 4 * kGiB - at.v ? port::direct_map(at) : nullptr;
}

void read_hand_over(u32 magic, u32 info) {
    if (!read_multiboot(magic, Maddr(info), {view_low}, boot_info))
        refuse(
            "it was not loaded by a multiboot boot loader. Use GRUB's multiboot or multiboot2 command, or "
            "QEMU's -kernel.");
    (void)parse_command_line(hypervisor_arguments(boot_info), options);
    if (boot_info.video.kind == VideoMode::Kind::none && boot_info.efi_system_table == 0) {
        const auto* bios_data = static_cast<const u8*>(view_low(nullptr, Maddr(0x400), 256));
        boot_info.video = bios_text_mode(std::span<const u8, 256>(bios_data, 256));
    }
}

void read_acpi() {
    const AcpiMap map = [](Maddr at, u64 size) { return static_cast<const u8*>(view_memory(at, size)); };
    // A loader's copy of the root pointer is the only one where there is no BIOS to search.
    const std::optional<Maddr> rsdp =
        boot_info.rsdp_size != 0 ? std::optional(image_address(boot_info.rsdp.data())) : find_rsdp(map);
    const Result<AcpiInfo> tables = rsdp ? parse_acpi(map, *rsdp) : fail(Error::nodev);
    if (!tables)
        refuse(
            "the firmware's ACPI tables are missing or broken. Switch ACPI on in the firmware setup, or "
            "update the firmware.");
    acpi = *tables;
}

void start_devices() {
    if (const Result<> r = x86::find_cpus(acpi, {.max_cpus = options.maxcpus, .smp = !options.nosmp}); !r)
        refuse("no memory for the CPUs' data ({}). Give the machine more memory.", r.error());
    if (const Result<> r = x86::init_interrupts(acpi, {.x2apic = options.x2apic}); !r)
        refuse(
            "the ACPI table of interrupt controllers (MADT) is missing or broken ({}). Switch the APIC on in "
            "the firmware setup, or update the firmware.",
            r.error());
    if (const Result<> r = x86::init_time(acpi); !r)
        refuse("there is no clock to measure the CPU's against ({}). Switch on the HPET or the ACPI timer.",
               r.error());
    x86::init_shutdown(acpi,
                       {.noreboot = options.noreboot,
                        .reset = x86::parse_reset_method(options.reboot).value_or(x86::ResetMethod::acpi)});
    x86::set_nmi_policy(options.nmi == "fatal"    ? x86::NmiPolicy::fatal
                        : options.nmi == "ignore" ? x86::NmiPolicy::ignore
                                                  : x86::NmiPolicy::dom0);
    enlarge_console_ring(x86::candidate_count());
}

// Every CPU but the first, on its own stack and tables.
void other_cpu(CpuId) {
    while (!core_ready.load(std::memory_order_acquire)) port::relax();
    start_guests();
}

void start_on_own_stack(void*) {
    x86::build_idt();
    x86::load_cpu_tables(CpuId(0));
    read_acpi();
    start_devices();
    const u32 cpus = x86::start_cpus(other_cpu);
    log(Level::info, "{} CPUs", cpus);
    if (const Result<> r = core::init(options.sched); !r)
        refuse("the core does not start ({}). Give the machine more memory.", r.error());
    core::scheduler().params().ratelimit = static_cast<Nanos>(options.sched_ratelimit_us) * kMicrosecond;
    start_platform();
    start_dom0();
    core_ready.store(true, std::memory_order_release);
    start_guests();
}

}  // namespace

void refuse_text(const char* line) {
    console::enter_panic();
    log(Level::error, "{}", line);
    port::machine_crashed();
}

extern "C" [[noreturn]] void domus_start(u32 magic, u32 info) {
    x86::load_early_idt();
    console::init();
    read_hand_over(magic, info);
    start_console();
    log(Level::warning, "Domus, serving the Xen 4.17 interface. Loaded by {}", boot_info.loader);
    log(Level::info, "command line: {}", hypervisor_arguments(boot_info));
    x86::detect_features({.smep = options.smep, .smap = options.smap, .xsave = options.xsave});
    x86::patch_code();
    pv::init_cpu_policies({.xsave = x86::features.xsave,
                           .lfence_dispatches = x86::features.lfence_dispatches,
                           .arch_caps = x86::features.arch_caps,
                           .microcode = x86::features.microcode});
    start_memory();
    if (const Result<> r = x86::create_cpu_area(CpuId(0)); !r)
        refuse("no memory for CPU 0. Give the machine more memory.");
    call_on_stack(x86::stack_top(CpuId(0)) - sizeof(CpuInfo), start_on_own_stack, nullptr);
}

}  // namespace domus::boot
