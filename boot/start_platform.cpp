// SPDX-License-Identifier: GPL-2.0-or-later
// What hypercalls need of devices and firmware (hypercall/platform.hpp), and what of the machine is dom0's.
#include <array>

#include "arch/insn.hpp"
#include "arch/interrupts.hpp"
#include "arch/trace.hpp"
#include "arch_devices/address_width.hpp"
#include "base/log.hpp"
#include "boot/build_id.hpp"
#include "boot/efi.hpp"
#include "boot/start.hpp"
#include "core/cpupool.hpp"
#include "core/domain.hpp"
#include "core/domain_list.hpp"
#include "core/evtchn.hpp"
#include "core/timer.hpp"
#include "drivers/console.hpp"
#include "drivers/console_input.hpp"
#include "drivers/debug_keys.hpp"
#include "hypercall/platform.hpp"
#include "hypercall/version.hpp"
#include "mm/page_type.hpp"
#include "port/machine.hpp"

// The linker's notes (domus.lds).
extern "C" const domus::u8 build_id_start[], build_id_end[];

namespace domus::boot {

namespace {

using hypercall::Platform;

// Family, model and stepping (AMD APM vol. 3, CPUID Fn0000_0001).
hypercall::CpuVersion cpu_version(CpuId) {
    const u32 eax = x86::cpuid(1).eax;
    const x86::CpuidResult vendor = x86::cpuid(0);
    hypercall::CpuVersion v{};
    __builtin_memcpy(v.vendor, &vendor.ebx, 4);
    __builtin_memcpy(v.vendor + 4, &vendor.edx, 4);
    __builtin_memcpy(v.vendor + 8, &vendor.ecx, 4);
    v.stepping = eax & 15;
    v.family = (eax >> 8 & 15) == 15 ? (eax >> 8 & 15) + (eax >> 20 & 255) : eax >> 8 & 15;
    v.model = (eax >> 4 & 15) | (v.family == 6 || v.family >= 15 ? eax >> 12 & 0xf0 : 0);
    return v;
}

Result<> enter_sleep(u32 state, u16 a, u16 b, bool extended) {
    if (state != 5 || extended) return fail(Error::opnotsupp);
    log(Level::info, "dom0 powers the machine off");
    return port::enter_sleep(a, b);
}

// Interrupt controllers, which firmware seldom lists: dom0 must not place a device there.
void reserve_interrupt_controllers(MemoryMap& map) {
    constexpr u64 kLocalApics = 0xfee00000, kLocalApicsSize = 1 * kMiB;  // and the window of messages
    bool ok = map.add(kLocalApics, kLocalApicsSize, static_cast<u32>(MemoryType::reserved));
    for (u32 n = 0; const std::optional<Maddr> at = x86::io_apic_at(n); n++)
        ok = ok && map.add(at->v, kPageSize, static_cast<u32>(MemoryType::reserved));
    if (!ok || !map.sanitise())
        log(Level::warning, "the memory map is too long to list the interrupt controllers in it");
}

std::span<const Platform::MemoryRange> memory_ranges() {
    reserve_interrupt_controllers(boot_info.memory);
    const std::span<const MemoryRegion> regions = boot_info.memory.regions();
    static constinit std::array<Platform::MemoryRange, MemoryMap::kCapacity> ranges{};
    for (usize i = 0; i < regions.size(); i++)
        ranges[i] = {regions[i].start, regions[i].end - regions[i].start, static_cast<u32>(regions[i].type)};
    return std::span(ranges).first(regions.size());
}

// Input of a serial port without an interrupt: a look at a person's typing speed.
void poll_uart(Uart& uart) {
    constexpr Nanos kInterval = 20 * kMillisecond;
    static core::Timer timer(
        [](core::Timer& t, Nanos now) {
            char text[64];
            auto* const port = static_cast<Uart*>(t.arg);
            while (const usize n = port->read(text)) console::receive({text, n});
            core::set_timer(t, CpuId(0), now + kInterval);
        },
        nullptr);
    timer.arg = &uart;
    core::set_timer(timer, CpuId(0), port::now() + kInterval);
}

bool find_efi_range(u64 address, Platform::Efi::Range& range) {
    for (const BootInfo::EfiRange& r : std::span(boot_info.efi_map).first(boot_info.efi_ranges)) {
        if (address < r.start || address - r.start >= r.pages << kPageShift) continue;
        range = {r.start, r.pages << kPageShift, r.attributes, r.type};
        return true;
    }
    return false;
}

void describe_efi(Platform& p) {
    if (boot_info.efi_system_table == 0) return;
    static constinit std::optional<EfiInfo> efi;
    efi = read_efi(Maddr(boot_info.efi_system_table), view_memory);
    if (!efi) return;
    log(Level::info, "EFI: version {}.{}, {} configuration tables at {:#x}", efi->version >> 16,
        (efi->version & 0xffff) / 10, efi->table_count, efi->tables);
    p.efi = {.version = efi->version,
             .tables = efi->tables,
             .table_count = efi->table_count,
             .firmware_revision = efi->firmware_revision,
             .vendor = efi->vendor.data(),
             .find_range = find_efi_range};
}

// A PV domain maps device memory that its I/O memory set holds; whether it may write there is the same
// question.
bool io_memory_permitted(DomId id, Mfn m, bool) {
    Domain* const d = core::find_domain(id);
    return d != nullptr && d->iomem_caps.contains(m.v);
}

void write_line(std::string_view line) {
    console::write_raw(line);
    console::write_raw("\n");
}

}  // namespace

void start_platform() {
    Platform& p = hypercall::platform();
    p.console_write = console::write_dom0;
    p.console_read = console::read_input;
    p.console_guest = console::write_guest;
    p.log_read = console::read_ring;
    p.log_start = console::ring_start;
    p.log_clear = console::clear_ring;
    p.debug_key = debug_keys::run;
    p.pci_known = [](PciAddress device) { return x86::pci_config().present(device); };
    p.ioapic_read = x86::read_io_apic;
    p.enter_sleep = enter_sleep;
    p.cpu_version = cpu_version;
    p.machine_map = memory_ranges();
    for (const Platform::MemoryRange& range : p.machine_map)
        if (range.type == static_cast<u32>(MemoryType::usable)) p.total_pages += range.size / kPageSize;
    describe_efi(p);
    hypercall::set_command_line(hypervisor_arguments(boot_info));
    hypercall::set_build_id(find_build_id({build_id_start, build_id_end}));
    set_io_permitted(io_memory_permitted);
    (void)debug_keys::add('r', "who runs and who waits, on which CPU",
                          [](char) { core::report_scheduler(write_line); });
    (void)debug_keys::add('e', "event channels, and the timers of vCPUs",
                          [](char) { core::report_events(write_line); });
    console::set_ring_notify([] { port::raise_work(port::Work::console); });
    (void)debug_keys::add('T', "the last events of each CPU", x86::log_all_traces);
    console::set_input_notify([] { core::send_global_virq(VIRQ_CONSOLE); });
    if (Uart* uart = console_uart()) {
        if (const Result<> r = x86::connect_uart(*uart); !r) {
            log(Level::warning, "the console's serial port has no working interrupt ({}): polled instead",
                r.error());
            poll_uart(*uart);
        }
    }
}

void grant_devices(Domain& d) {
    // All of the physical address space, as wide as this processor's, but what the hypervisor drives itself:
    // local APICs and the window of message-signalled interrupts, I/O APICs.
    const u64 last_frame = (u64{1} << (x86::physical_address_bits() - kPageShift)) - 1;
    const auto must = [](const Result<>& r) {
        if (!r) refuse("no memory for dom0's device permissions. Give the machine more memory.");
    };
    must(d.iomem_caps.add(0, last_frame));
    for (u32 n = 0; const std::optional<Maddr> at = x86::io_apic_at(n); n++)
        must(d.iomem_caps.remove(mfn(*at).v, mfn(*at).v));
    must(d.iomem_caps.remove(0xfee00, 0xfeeff));
    must(d.ioport_caps.add(0, 0xffff));
    must(d.irq_caps.add(0, ~u32{0}));
}

}  // namespace domus::boot
