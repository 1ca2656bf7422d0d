// SPDX-License-Identifier: GPL-2.0-or-later
// I/O APICs: redirection of global system interrupts to CPUs. Source: Intel 82093AA data sheet, 3.0.
#pragma once

#include <span>

#include "base/result.hpp"
#include "base/types.hpp"
#include "port/interrupt.hpp"
#include "port/lock.hpp"

namespace domus::x86 {

// One redirection entry, fixed delivery to one CPU by its APIC ID (physical mode).
struct Redirection {
    u8 vector = 0;
    u8 apic_id = 0;
    Trigger trigger = Trigger::edge;
    Polarity polarity = Polarity::high;
    bool masked = true;

    constexpr u64 encode() const {
        return u64{vector} | (polarity == Polarity::low ? u64{1} << 13 : 0) |
               (trigger == Trigger::level ? u64{1} << 15 : 0) | (masked ? u64{1} << 16 : 0) |
               u64{apic_id} << 56;
    }
};

class IoApic {
  public:
    IoApic() = default;
    IoApic(const IoApic&) = delete;
    IoApic& operator=(const IoApic&) = delete;

    // `page`: the mapping of its registers. Masks every pin. ENODEV: nothing answers.
    Result<> init(volatile void* page, Gsi first);
    Gsi first() const { return first_; }
    u32 pins() const { return pins_; }
    bool serves(Gsi gsi) const { return gsi.v >= first_.v && gsi.v - first_.v < pins_; }

    // Writes a pin's entry; masked while it changes, so that no half of it ever acts.
    void set(u32 pin, const Redirection& entry);
    // Changes the mask bit alone: `entry` is what set() wrote, its masked field is used.
    void set_mask(u32 pin, const Redirection& entry);
    u64 get(u32 pin);

    // A register by its index, as the hardware domain may read it.
    u32 read_register(u8 reg);

  private:
    u32 read(u8 reg) const;
    void write(u8 reg, u32 v) const;

    SpinLock lock_{Rank::leaf};  // the index register is shared by all CPUs
    volatile u8* page_ = nullptr;
    Gsi first_;
    u32 pins_ = 0;
};

}  // namespace domus::x86
