// SPDX-License-Identifier: GPL-2.0-or-later
// The local APIC.
#include "arch_devices/local_apic.hpp"

#include "arch_devices/vectors.hpp"

namespace domus::x86 {

namespace {

constexpr u32 kMasked = 1u << 16;
constexpr u32 kDeliveryNmi = 4u << 8, kDeliveryInit = 5u << 8, kDeliveryStartup = 6u << 8;
constexpr u32 kLevelAssert = 1u << 14, kTriggerLevel = 1u << 15, kBusy = 1u << 12;
constexpr u32 kLvtLow = 1u << 13, kLvtLevel = 1u << 15;
constexpr u32 kTimerDeadline = 2u << 17;
constexpr u32 kSpuriousEnable = 1u << 8;
constexpr u32 kDivideBy1 = 0xb;
constexpr u64 kBaseEnable = 1u << 11, kBaseX2Apic = 1u << 10;
constexpr u32 kBusySpins = 1'000'000;  // the bus is never busy that long

}  // namespace

bool LocalApic::firmware_uses_x2apic() {
    return (port::read_msr(kMsrApicBase) & (kBaseEnable | kBaseX2Apic)) == (kBaseEnable | kBaseX2Apic);
}

void LocalApic::setup(volatile void* page, bool x2apic) {
    page_ = static_cast<volatile u8*>(page);
    x2apic_ = x2apic;
}

void LocalApic::enable(u8 nmi_lint, Trigger nmi_trigger, Polarity nmi_polarity) {
    // x2APIC mode is entered through xAPIC mode only (Intel SDM vol. 3, 11.12.5).
    u64 base = port::read_msr(kMsrApicBase);
    if ((base & kBaseEnable) == 0) port::write_msr(kMsrApicBase, base |= kBaseEnable);
    if (x2apic_ && (base & kBaseX2Apic) == 0) port::write_msr(kMsrApicBase, base | kBaseX2Apic);

    write(kTaskPriority, 0);
    // The enable bit first: while it is clear the local vector table stays masked (Intel SDM vol.
    // 3, 11.4.7.2).
    write(kSpurious, kSpuriousEnable | kVectorSpurious);
    const u32 last_lvt = version() >> 16 & 0xff;
    write(kLvtTimer, kMasked | kVectorTimer);
    if (last_lvt >= 4) write(kLvtPerformance, kMasked);
    if (last_lvt >= 5) write(kLvtThermal, kMasked);
    if (last_lvt >= 6) write(kLvtCmci, kMasked);
    const u32 nmi = kDeliveryNmi | (nmi_polarity == Polarity::low ? kLvtLow : 0) |
                    (nmi_trigger == Trigger::level ? kLvtLevel : 0);
    write(kLvtLint0, nmi_lint == 0 ? nmi : kMasked);
    write(kLvtLint1, nmi_lint == 1 ? nmi : kMasked);
    write(kErrorStatus, 0);
    write(kLvtError, kVectorApicError);

    // What firmware or an earlier kernel left in service would block everything of lower priority.
    for (u32 word = 8; word-- > 0;)
        for (u32 pending = read(kInService + word * 0x10), n = 32; pending != 0 && n > 0; n--) {
            eoi();
            pending = read(kInService + word * 0x10);
        }
}

u32 LocalApic::id() const {
    const u32 v = read(kId);
    return x2apic_ ? v : v >> 24;
}

void LocalApic::command(u32 apic_id, u32 low) const {
    if (x2apic_) {
        port::write_msr(kMsrX2ApicFirst + (kCommandLow >> 4), u64{apic_id} << 32 | low);
        return;
    }
    for (u32 spins = 0; (read(kCommandLow) & kBusy) != 0 && spins < kBusySpins; spins++) port::pause();
    write(kCommandHigh, apic_id << 24);
    write(kCommandLow, low);
}

void LocalApic::send(u32 apic_id, u8 vector) const { command(apic_id, kLevelAssert | vector); }
void LocalApic::send_nmi(u32 apic_id) const { command(apic_id, kLevelAssert | kDeliveryNmi); }
void LocalApic::send_init(u32 apic_id) const {
    command(apic_id, kDeliveryInit | kLevelAssert | kTriggerLevel);
}
void LocalApic::send_startup(u32 apic_id, u8 page) const {
    command(apic_id, kDeliveryStartup | kLevelAssert | page);
}

void LocalApic::timer_use_deadline() { write(kLvtTimer, kTimerDeadline | kVectorTimer); }

void LocalApic::timer_use_one_shot() {
    write(kTimerDivide, kDivideBy1);
    write(kTimerInitial, 0);
    write(kLvtTimer, kVectorTimer);
}

void LocalApic::timer_arm_deadline(u64 tsc) const { port::write_msr(kMsrTscDeadline, tsc); }
void LocalApic::timer_arm_one_shot(u32 count) const { write(kTimerInitial, count); }
void LocalApic::timer_mask() { write(kLvtTimer, kMasked | kVectorTimer); }

u32 LocalApic::take_error() const {
    write(kErrorStatus, 0);  // a write latches the errors for reading
    return read(kErrorStatus);
}

bool LocalApic::in_service(u8 vector) const {
    return (read(kInService + vector / 32 * 0x10) >> (vector % 32) & 1) != 0;
}

}  // namespace domus::x86
