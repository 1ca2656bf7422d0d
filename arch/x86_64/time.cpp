// SPDX-License-Identifier: GPL-2.0-or-later
// port/time.hpp: a scaled TSC, and the local APIC's timer.
#include "arch/time.hpp"

#include "arch/boot_array.hpp"
#include "arch/features.hpp"
#include "arch/insn.hpp"
#include "arch/interrupts.hpp"
#include "arch/smp.hpp"
#include "arch_devices/calibrate.hpp"
#include "arch_devices/clock_math.hpp"
#include "arch_devices/cmos.hpp"
#include "arch_devices/platform_timer.hpp"
#include "base/log.hpp"
#include "drivers/console.hpp"
#include "port/cpu.hpp"
#include "port/io.hpp"
#include "port/memory.hpp"
#include "port/time.hpp"

namespace domus::x86 {

namespace {

constinit port::ClockScale boot_clock;  // mul 0 until init_time(): the clock stands at 0
constinit port::ClockScale* clocks = &boot_clock;
constinit u32 clock_count = 1;
constinit u64 hz = 0;
constinit TickRate tsc_rate, apic_rate;
constinit port::WallClock wall;

const port::ClockScale& this_clock() {
    const u32 cpu = port::this_cpu().v;
    return clocks[cpu < clock_count ? cpu : 0];
}

Calibration measure(const AcpiInfo& acpi, const char*& how) {
    const CpuidResult leaf = cpuid(0).eax >= 0x15 ? cpuid(0x15) : CpuidResult{};
    if (const u64 declared = declared_tsc_hz({leaf.eax, leaf.ebx, leaf.ecx}); declared > 1'000'000) {
        how = "the CPU";
        return {declared, 0};
    }
    PlatformTimer reference;
    if (acpi.hpet.at.v != 0) {
        const u64 page = round_down(acpi.hpet.at.v, kPageSize);
        if (auto mapped = port::map_device(Maddr(page), kPageSize))
            reference = hpet_timer(static_cast<u8*>(*mapped) + (acpi.hpet.at.v - page));
    }
    if (reference.hz == 0) reference = pm_timer(acpi.fadt);
    if (reference.hz == 0) reference = pit_timer();
    how = reference.name;
    return calibrate_tsc(reference);
}

// The local APIC's timer counts the bus clock, which nothing declares: measured against the TSC.
u64 measure_apic_timer() {
    constexpr Nanos kInterval = 5 * kMillisecond;
    LocalApic& apic = local_apic();
    apic.timer_use_one_shot();
    apic.timer_mask();
    apic.timer_arm_one_shot(~u32{0});
    const u32 first = apic.timer_count();
    const u64 start = port::read_tsc();
    const u64 wanted = ticks_of(tsc_rate, kInterval);
    while (port::read_tsc() - start < wanted) pause();
    const u32 last = apic.timer_count();
    const u64 end = port::read_tsc();
    apic.timer_arm_one_shot(0);
    return mul_div(first - last, hz, end - start);
}

}  // namespace

Result<> init_time(const AcpiInfo& acpi) {
    const char* how = "";
    const Calibration c = measure(acpi, how);
    if (c.hz < 1'000'000) {
        log(Level::error, "Time: no HPET, PM timer or PIT to measure the TSC against");
        return fail(Error::nodev);
    }
    hz = c.hz;
    tsc_rate = make_rate(make_scale(hz));
    const std::span<port::ClockScale> all = TRY(boot_array<port::ClockScale>(candidate_count()));
    port::ClockScale scale = make_scale(hz);
    scale.base_tsc = port::read_tsc();
    for (port::ClockScale& s : all) s = scale;
    clock_count = candidate_count();
    clocks = all.data();

    u64 apic_hz = 0;
    if (!features.tsc_deadline) {
        apic_hz = measure_apic_timer();
        if (apic_hz < 100'000) {
            log(Level::error, "Time: the local APIC's timer does not count");
            return fail(Error::nodev);
        }
        apic_rate = make_rate(make_scale(apic_hz));
    }
    init_cpu_timer();
    log(Level::info, "Time: TSC {}.{:03} MHz by {} (to {} ppm), timer {}", hz / 1'000'000, hz / 1000 % 1000,
        how, c.error_ppm, features.tsc_deadline ? "by TSC deadline" : "one-shot");
    if (acpi.fadt.has_cmos) {
        if (const auto seconds = read_cmos_clock(acpi.fadt.century)) {
            const u64 since = static_cast<u64>(port::now());
            wall.seconds = *seconds - since / kSecond - 1;
            wall.nanoseconds = static_cast<u32>(kSecond - static_cast<Nanos>(since % kSecond) - 1);
            console::set_wall_clock(wall);
        } else {
            log(Level::warning,
                "Time: the CMOS clock shows no valid time; the day is 1970-01-01 until dom0 sets it");
        }
    }
    return {};
}

void init_cpu_timer() {
    if (features.tsc_deadline) {
        local_apic().timer_use_deadline();
        // The mode must have changed before the first deadline is written (Intel SDM vol. 3, 11.5.4.1).
        asm volatile("mfence" : : : "memory");
    } else {
        local_apic().timer_use_one_shot();
    }
}

void set_cpu_clock(CpuId cpu, s64 tsc_correction) {
    clocks[cpu.v] = clocks[0];
    clocks[cpu.v].base_tsc -= static_cast<u64>(tsc_correction);
}

void delay_us(u32 microseconds) {
    if (hz == 0) {  // before the clock runs: a port access takes about a microsecond
        while (microseconds-- > 0) port::in8(0x80);
        return;
    }
    const u64 start = port::read_tsc();
    const u64 ticks = ticks_of(tsc_rate, u64{microseconds} * kMicrosecond);
    while (port::read_tsc() - start < ticks) pause();
}

}  // namespace domus::x86

namespace domus::port {

using namespace x86;

Nanos now() { return clock_at(this_clock(), read_tsc()); }
ClockScale clock_scale() { return this_clock(); }
u64 tsc_khz() { return hz / 1000; }
WallClock wall_clock() { return wall; }
// Invariant TSC (AMD APM vol. 3, CPUID Fn8000_0007 EDX[8]; Intel SDM vol. 3, 18.17.1).
bool tsc_stable() {
    return x86::cpuid(0x80000000).eax >= 0x80000007 && (x86::cpuid(0x80000007).edx & (1u << 8)) != 0;
}

void set_deadline(Nanos when) {
    LocalApic& apic = local_apic();
    if (when == kNever) {
        if (features.tsc_deadline)
            apic.timer_arm_deadline(0);
        else
            apic.timer_arm_one_shot(0);
        return;
    }
    const ClockScale& clock = this_clock();
    const u64 tsc = read_tsc();
    // A deadline too far for the counter, or for the arithmetic, comes early, finds nothing due, and is set
    // again.
    constexpr Nanos kFarthest = 1000 * kSecond;
    const Nanos current = clock_at(clock, tsc);
    if (when <= current) {
        raise_work(Work::timer);
        return;
    }
    const u64 ahead = static_cast<u64>(when - current < kFarthest ? when - current : kFarthest);
    if (features.tsc_deadline) {
        apic.timer_arm_deadline(tsc + ticks_of(tsc_rate, ahead));
        return;
    }
    const u64 count = ticks_of(apic_rate, ahead);
    apic.timer_arm_one_shot(count > ~u32{0} ? ~u32{0} : static_cast<u32>(count));
}

}  // namespace domus::port
