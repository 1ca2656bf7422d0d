// SPDX-License-Identifier: GPL-2.0-or-later
// Reset and sleep.
#include "arch_devices/power.hpp"

#include "base/log.hpp"
#include "port/io.hpp"
#include "port/memory.hpp"

namespace domus::x86 {

namespace {

constexpr u32 kPatience = 100'000;  // microseconds after which a method has failed

void write_register(const AcpiRegister& r, u8 value, PciConfig& pci) {
    switch (r.space) {
        case AcpiRegister::Space::io: port::out8(static_cast<u16>(r.address), value); break;
        case AcpiRegister::Space::memory:
            if (auto page = port::map_device(Maddr(round_down(r.address, kPageSize)), kPageSize))
                port::mmio_write<u8>(static_cast<u8*>(*page) + r.address % kPageSize, value);
            break;
        case AcpiRegister::Space::pci:
            // Bus 0; device, function and offset in 16 bits each (ACPI 6.4, table 5.1).
            pci.write<u8>({0, 0, static_cast<u8>((r.address >> 32 & 0x1f) << 3 | (r.address >> 16 & 7))},
                          static_cast<u32>(r.address & 0xff), value);
            break;
    }
}

void reset_by_keyboard(void (*wait_us)(u32)) {
    constexpr u16 kCommand = 0x64;
    constexpr u8 kInputFull = 0x02, kPulseReset = 0xfe;
    for (unsigned attempt = 0; attempt < 10; attempt++) {
        for (unsigned i = 0; i < 1000 && (port::in8(kCommand) & kInputFull) != 0; i++) wait_us(2);
        port::out8(kCommand, kPulseReset);
        wait_us(1000);
    }
}

void reset_by_pci(void (*wait_us)(u32)) {
    // Reset control register of Intel's south bridges and many others: first the kind (hard), then the edge
    // of bit 2.
    constexpr u16 kResetControl = 0xcf9;
    const u8 old = static_cast<u8>(port::in8(kResetControl) & ~0x0e);
    port::out8(kResetControl, old | 0x02);
    wait_us(50);
    port::out8(kResetControl, old | 0x06);
    wait_us(50);
}

void try_method(ResetMethod method, const AcpiInfo& acpi, PciConfig& pci, void (*wait_us)(u32)) {
    switch (method) {
        case ResetMethod::acpi:
            if (!acpi.fadt.reset.valid()) return;
            write_register(acpi.fadt.reset, acpi.fadt.reset_value, pci);
            break;
        case ResetMethod::keyboard:
            if (!acpi.fadt.has_8042) return;
            reset_by_keyboard(wait_us);
            break;
        case ResetMethod::pci: reset_by_pci(wait_us); break;
        case ResetMethod::triple_fault: return;
    }
    wait_us(kPatience);
}

constexpr u16 kSleepEnable = 1u << 13, kSleepType = 7u << 10, kWakeStatus = 1u << 15;

}  // namespace

Result<ResetMethod> parse_reset_method(std::string_view value) {
    if (value == "a" || value == "acpi") return ResetMethod::acpi;
    if (value == "k" || value == "kbd") return ResetMethod::keyboard;
    if (value == "p" || value == "pci") return ResetMethod::pci;
    if (value == "t" || value == "triple") return ResetMethod::triple_fault;
    return fail(Error::inval);
}

void reset_machine(const AcpiInfo& acpi, PciConfig& pci, ResetMethod first, void (*wait_us)(u32)) {
    if (first == ResetMethod::triple_fault) return;
    try_method(first, acpi, pci, wait_us);
    for (const ResetMethod m : {ResetMethod::acpi, ResetMethod::keyboard, ResetMethod::pci})
        if (m != first) try_method(m, acpi, pci, wait_us);
}

Result<> enter_sleep(const AcpiFadt& fadt, u16 pm1a, u16 pm1b, void (*wait_us)(u32)) {
    const auto usable = [](const AcpiRegister& r) {
        return r.valid() && r.space == AcpiRegister::Space::io && r.address <= 0xfffe;
    };
    if (!usable(fadt.pm1a_control)) return fail(Error::nodev);
    const auto a_event = fadt.pm1a_event, b_event = fadt.pm1b_event;
    const u16 a = static_cast<u16>(fadt.pm1a_control.address);
    const bool has_b = usable(fadt.pm1b_control);
    const u16 b = has_b ? static_cast<u16>(fadt.pm1b_control.address) : u16{0};

    if (usable(a_event)) port::out16(static_cast<u16>(a_event.address), kWakeStatus);
    if (usable(b_event)) port::out16(static_cast<u16>(b_event.address), kWakeStatus);

    // Only the sleep type is dom0's to say; the other bits stay as they are.
    const u16 type_a = static_cast<u16>((port::in16(a) & ~(kSleepType | kSleepEnable)) | (pm1a & kSleepType));
    port::out16(a, type_a);
    u16 type_b = 0;
    if (has_b) {
        type_b = static_cast<u16>((port::in16(b) & ~(kSleepType | kSleepEnable)) | (pm1b & kSleepType));
        port::out16(b, type_b);
    }
    port::out16(a, type_a | kSleepEnable);
    if (has_b) port::out16(b, type_b | kSleepEnable);

    // S5: the power supply takes its time. S1: execution goes on here when the wake status is set.
    for (unsigned i = 0; i < 100; i++) {
        if (usable(a_event) && (port::in16(static_cast<u16>(a_event.address)) & kWakeStatus) != 0) return {};
        wait_us(10'000);
    }
    return {};
}

}  // namespace domus::x86
