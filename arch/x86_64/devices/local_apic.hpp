// SPDX-License-Identifier: GPL-2.0-or-later
// The local APIC of the CPU it is called on, through its register page (xAPIC) or its MSRs (x2APIC). Source:
// AMD APM vol. 2, chapter 16; Intel SDM vol. 3, chapter 11.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"
#include "port/interrupt.hpp"
#include "port/io.hpp"

namespace domus::x86 {

class LocalApic {
  public:
    // How all CPUs' APICs are used: `page` is the register page's mapping; with `x2apic` it is not needed.
    void setup(volatile void* page, bool x2apic);
    bool x2apic() const { return x2apic_; }
    bool ready() const { return x2apic_ || page_ != nullptr; }

    // Has firmware switched this CPU to x2APIC mode? (IA32_APIC_BASE)
    static bool firmware_uses_x2apic();

    // Puts this CPU's APIC to work: enabled, every local line masked but NMI on `nmi_lint` (0, 1; 2: none),
    // all priorities accepted.
    void enable(u8 nmi_lint, Trigger nmi_trigger, Polarity nmi_polarity);

    u32 id() const;  // this CPU's APIC ID
    u32 version() const { return read(kVersion); }

    void eoi() const { write(kEoi, 0); }

    // Interrupts another CPU, or this one, by its APIC ID.
    void send(u32 apic_id, u8 vector) const;
    void send_nmi(u32 apic_id) const;
    // The start-up protocol (Intel SDM vol. 3, 9.4.4): INIT, and start at `page` * 4 KiB in real mode.
    void send_init(u32 apic_id) const;
    void send_startup(u32 apic_id, u8 page) const;

    // The timer: TSC-deadline if the CPU has it, or one-shot counting down by the bus clock.
    void timer_use_deadline();
    void timer_use_one_shot();
    void timer_arm_deadline(u64 tsc) const;    // 0 disarms
    void timer_arm_one_shot(u32 count) const;  // 0 disarms
    u32 timer_count() const { return read(kTimerCurrent); }
    void timer_mask();

    // Error status since the last call (bits: Intel SDM vol. 3, 11.5.3).
    u32 take_error() const;
    // Is this vector's bit set in the in-service register?
    bool in_service(u8 vector) const;

    enum Register : u32 {
        kId = 0x20,
        kVersion = 0x30,
        kTaskPriority = 0x80,
        kEoi = 0xb0,
        kLogicalDestination = 0xd0,
        kDestinationFormat = 0xe0,
        kSpurious = 0xf0,
        kInService = 0x100,
        kErrorStatus = 0x280,
        kLvtCmci = 0x2f0,
        kCommandLow = 0x300,
        kCommandHigh = 0x310,
        kLvtTimer = 0x320,
        kLvtThermal = 0x330,
        kLvtPerformance = 0x340,
        kLvtLint0 = 0x350,
        kLvtLint1 = 0x360,
        kLvtError = 0x370,
        kTimerInitial = 0x380,
        kTimerCurrent = 0x390,
        kTimerDivide = 0x3e0,
    };
    static constexpr u32 kMsrApicBase = 0x1b, kMsrTscDeadline = 0x6e0, kMsrX2ApicFirst = 0x800;

  private:
    u32 read(u32 reg) const {
        if (x2apic_) return static_cast<u32>(port::read_msr(kMsrX2ApicFirst + (reg >> 4)));
        return port::mmio_read<u32>(page_ + reg);
    }
    void write(u32 reg, u32 v) const {
        if (x2apic_)
            port::write_msr(kMsrX2ApicFirst + (reg >> 4), v);
        else
            port::mmio_write<u32>(page_ + reg, v);
    }
    void command(u32 apic_id, u32 low) const;

    volatile u8* page_ = nullptr;
    bool x2apic_ = false;
};

}  // namespace domus::x86
