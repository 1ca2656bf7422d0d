// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupt lines: allocation of GSIs, delivery, masks, affinity. MSIs are in irq_msi.cpp.
#include "arch_devices/irq_table.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "port/cpu.hpp"

namespace domus::x86 {

using Kind = IrqLine::Kind;

void IrqTable::init(const Config& config) {
    c_ = config;
    lines_ = config.lines;
    gsi_count_ = 0;
    for (const IoApic& a : c_.io_apics) gsi_count_ = std::max(gsi_count_, a.first().v + a.pins());
    ASSERT(gsi_count_ <= lines_.size());
    for (u32 i = 0; i < gsi_count_; i++) {
        // Without a word from firmware the first 16 are the ISA bus's, the others PCI's (ACPI 6.4, 5.2.12.5).
        lines_[i].trigger = i < 16 ? Trigger::edge : Trigger::level;
        lines_[i].polarity = i < 16 ? Polarity::high : Polarity::low;
    }
    for (u32 i = 0; i < 16; i++) isa_[i] = Gsi(i);
}

void IrqTable::set_isa_override(u8 isa_irq, Gsi gsi, Trigger trigger, Polarity polarity) {
    if (isa_irq >= 16 || gsi.v >= gsi_count_) {
        log(Level::warning, "ACPI: override of ISA interrupt {} to GSI {}: ignored", isa_irq, gsi);
        return;
    }
    isa_[isa_irq] = gsi;
    lines_[gsi.v].trigger = trigger;
    lines_[gsi.v].polarity = polarity;
}

u32 IrqTable::cpus() const { return std::min(port::cpu_count(), static_cast<u32>(c_.vectors.size())); }

IoApic* IrqTable::io_apic_of(Gsi gsi) {
    for (IoApic& a : c_.io_apics)
        if (a.serves(gsi)) return &a;
    return nullptr;
}

Redirection IrqTable::redirection(const IrqLine& l) const {
    return {l.vector, static_cast<u8>(c_.apic_id(l.cpu)), l.trigger, l.polarity, l.hardware_masked};
}

void IrqTable::hardware_mask(u32 index, bool masked) {
    IrqLine& l = lines_[index];
    if (l.hardware_masked == masked) return;
    l.hardware_masked = masked;
    if (l.kind == Kind::gsi) {
        IoApic& a = *io_apic_of(Gsi(index));
        a.set_mask(index - a.first().v, redirection(l));
    } else {
        msi_set_mask(*c_.pci, l.msi, l.group_index, masked);
    }
}

void IrqTable::program(u32 index) {
    const IrqLine& l = lines_[index];
    if (l.kind == Kind::gsi) {
        IoApic& a = *io_apic_of(Gsi(index));
        a.set(index - a.first().v, redirection(l));
    } else {
        msi_write(*c_.pci, l.msi, msi_message(static_cast<u8>(c_.apic_id(l.cpu)), l.vector),
                  l.hardware_masked);
    }
}

// Gives lines [first, first + count) vectors of a CPU. The allocation lock is held.
Result<> IrqTable::take_vectors(u32 first, u32 count, CpuId cpu) {
    if (cpu.v >= cpus()) return fail(Error::inval);
    const u8 vector = c_.vectors[cpu.v].find(count);
    if (vector == 0) return fail(Error::nospc);
    return take_vectors(first, count, cpu, vector);
}

Result<> IrqTable::take_vectors(u32 first, u32 count, CpuId cpu, u8 vector) {
    // Without interrupt remapping a device can name CPUs by 8 bits only, and 255 is everyone.
    if (c_.apic_id(cpu) >= 255) return fail(Error::nospc);
    VectorMap& map = c_.vectors[cpu.v];
    for (u32 i = 0; i < count; i++) {
        lines_[first + i].vector = static_cast<u8>(vector + i);
        lines_[first + i].cpu = cpu;
        map.line[vector + i].store(first + i, std::memory_order_release);
    }
    return {};
}

void IrqTable::release_vector(CpuId cpu, u8& vector) {
    if (vector == 0) return;
    c_.vectors[cpu.v].line[vector].store(kLineLeft, std::memory_order_release);
    vector = 0;
}

Result<> IrqTable::configure(Gsi gsi, Trigger trigger, Polarity polarity) {
    if (gsi.v >= gsi_count_ || io_apic_of(gsi) == nullptr) return fail(Error::inval);
    IrqLine& l = lines_[gsi.v];
    LockGuard guard(l.lock);
    if (l.trigger == trigger && l.polarity == polarity) return {};
    if (l.claimed || l.handler.run != nullptr) return fail(Error::busy);
    l.trigger = trigger;
    l.polarity = polarity;
    if (l.kind == Kind::gsi) program(gsi.v);
    return {};
}

Result<IrqId> IrqTable::allocate_gsi(Gsi gsi) {
    if (gsi.v >= gsi_count_ || io_apic_of(gsi) == nullptr) return fail(Error::inval);
    LockGuard guard(lock_);
    IrqLine& l = lines_[gsi.v];
    LockGuard line_guard(l.lock);
    if (l.kind == Kind::free) {
        Result<> taken = take_vectors(gsi.v, 1, CpuId(0));
        // Any CPU is better than none.
        for (u32 cpu = 1; !taken && cpu < cpus(); cpu++) taken = take_vectors(gsi.v, 1, CpuId(cpu));
        TRY(taken);
        l.kind = Kind::gsi;
        l.masked = l.hardware_masked = true;
        l.opened = l.in_service = l.replay = false;
        program(gsi.v);
    }
    return IrqId(gsi.v);
}

Result<IrqId> IrqTable::claim_gsi(Gsi gsi, IrqHandler handler) {
    if (gsi.v < gsi_count_ && lines_[gsi.v].kind != Kind::free) return fail(Error::busy);
    const IrqId irq = TRY(allocate_gsi(gsi));
    TRY(attach(irq, handler));
    lines_[irq.v].claimed = true;
    return irq;
}

Result<> IrqTable::attach(IrqId irq, IrqHandler handler) {
    if (!valid(irq)) return fail(Error::inval);
    IrqLine& l = lines_[irq.v];
    LockGuard guard(l.lock);
    if (l.kind == Kind::free) return fail(Error::inval);
    if (l.claimed || l.handler.run != nullptr) return fail(Error::busy);
    l.handler = handler;
    return {};
}

void IrqTable::detach(IrqId irq) {
    if (!valid(irq)) return;
    IrqLine& l = lines_[irq.v];
    {
        LockGuard guard(l.lock);
        l.handler = {};
        l.claimed = false;
        l.masked = true;
        l.in_service = l.replay = false;
        if (l.kind != Kind::free) hardware_mask(irq.v, true);
    }
    while (l.running.load(std::memory_order_acquire) != 0) port::relax();
}

void IrqTable::mask(IrqId irq) {
    if (!valid(irq)) return;
    IrqLine& l = lines_[irq.v];
    LockGuard guard(l.lock);
    l.masked = true;
    if (l.kind == Kind::gsi && l.trigger == Trigger::level) hardware_mask(irq.v, true);
}

void IrqTable::unmask(IrqId irq) {
    if (!valid(irq)) return;
    IrqLine& l = lines_[irq.v];
    LockGuard guard(l.lock);
    if (l.kind == Kind::free) return;
    l.masked = false;
    l.opened = true;
    if (!l.in_service) hardware_mask(irq.v, false);
    if (std::exchange(l.replay, false)) c_.apic->send(c_.apic_id(l.cpu), l.vector);
}

void IrqTable::eoi(IrqId irq) {
    if (!valid(irq)) return;
    IrqLine& l = lines_[irq.v];
    LockGuard guard(l.lock);
    if (!std::exchange(l.in_service, false)) return;
    if (!l.masked) hardware_mask(irq.v, false);
}

// Sends the line to another CPU. Both locks are held; the line is masked, or just acknowledged at its old
// place, where the vector stays taken. With the vector's number kept only the destination changes, in one
// write: between two, a message would go to the new CPU with the old number, or an edge be dropped. NOSPC:
// the CPU has no vector, or has that one taken and the line cannot be masked meanwhile.
Result<> IrqTable::move_now(u32 index, CpuId to) {
    IrqLine& l = lines_[index];
    if (c_.vectors[to.v].free_run(l.vector, 1)) {
        TRY(take_vectors(index, 1, to, l.vector));
    } else {
        const bool can_wait =
            l.kind == Kind::gsi ? l.hardware_masked : l.kind == Kind::msix || l.msi.maskable;
        if (!can_wait) return fail(Error::nospc);
        TRY(take_vectors(index, 1, to));
    }
    program(index);
    return {};
}

Result<> IrqTable::set_affinity(IrqId irq, CpuId cpu) {
    if (!valid(irq) || cpu.v >= cpus()) return fail(Error::inval);
    LockGuard guard(lock_);
    IrqLine& l = lines_[irq.v];
    LockGuard line_guard(l.lock);
    if (l.kind == Kind::free) return fail(Error::inval);
    if (l.group_size != 1) return fail(Error::opnotsupp);  // the messages of one device go to one CPU
    if (l.move_wanted ? l.move_to == cpu : l.cpu == cpu) return {};
    if (!l.opened) {
        // Nothing can be on its way. Of a line that was open once that is never sure, even when it is masked
        // now: an edge that is accepted by the old CPU already would be lost, and a level-triggered pin whose
        // remote IRR is set waits for an EOI with the old vector (82093AA, 3.2.4).
        const CpuId from = l.cpu;
        u8 old = l.vector;
        TRY(move_now(irq.v, cpu));
        l.move_wanted = false;
        release_vector(from, old);
        return {};
    }
    if (c_.apic_id(cpu) >= 255) return fail(Error::nospc);
    l.move_wanted = true;
    l.move_to = cpu;
    return {};
}

void IrqTable::free(IrqId irq) {
    if (!valid(irq)) return;
    detach(irq);
    LockGuard guard(lock_);
    IrqLine& l = lines_[irq.v];
    LockGuard line_guard(l.lock);
    if (l.kind == Kind::free) return;
    const Kind kind = l.kind;
    if (kind == Kind::gsi) {
        IoApic& a = *io_apic_of(Gsi(irq.v));
        a.set(irq.v - a.first().v, {});
    }
    release_vector(l.cpu, l.vector);
    release_vector(l.old_cpu, l.old_vector);
    l.move_wanted = l.claimed = false;
    l.kind = Kind::free;
    l.group_size = 1;
    l.group_index = 0;
    if (kind != Kind::gsi && !device_has_lines(l.msi.device)) msi_disable(*c_.pci, l.msi);
}

void IrqTable::deliver(CpuId cpu, u8 vector) {
    const u32 index = c_.vectors[cpu.v].line[vector].load(std::memory_order_acquire);
    if (index >= kLineLeft) {
        c_.apic->eoi();
        // The line was moved or freed with this on its way. Whoever serves the line now has been told since:
        // a vector is given back after the first arrival at the new place.
        if (index == kLineLeft) return;
        if (stray_.fetch_add(1, std::memory_order_relaxed) == 0)
            log(Level::debug, "stray interrupt, vector {:#x} on CPU {}; further ones are only counted",
                vector, cpu);
        return;
    }
    IrqLine& l = lines_[index];
    IrqHandler handler;
    bool move = false;
    {
        LockGuard guard(l.lock);
        if (l.kind == Kind::free) {
            c_.apic->eoi();
            return;
        }
        if (l.trigger == Trigger::level) {
            l.in_service = true;
            hardware_mask(index, true);
        }
        c_.apic->eoi();
        l.deliveries++;
        move = l.move_wanted || (l.old_vector != 0 && l.cpu == cpu && l.vector == vector);
        if (l.masked || l.handler.run == nullptr) {
            if (l.trigger == Trigger::edge) {
                l.replay = l.handler.run != nullptr;
                hardware_mask(index, true);  // what comes now merges with what is remembered
            } else {
                l.in_service = false;
            }
        } else {
            handler = l.handler;
            l.running.fetch_add(1, std::memory_order_relaxed);
        }
    }
    if (move) {
        LockGuard guard(lock_);
        LockGuard line_guard(l.lock);
        if (l.kind != Kind::free) {
            if (l.cpu == cpu && l.vector == vector) release_vector(l.old_cpu, l.old_vector);
            if (l.move_wanted && l.old_vector == 0) {
                const CpuId from = l.cpu;
                const u8 old = l.vector;
                if (move_now(index, l.move_to)) {
                    l.old_cpu = from;
                    l.old_vector = old;
                }
                l.move_wanted = false;
            }
        }
    }
    if (handler.run != nullptr) {
        handler.run(IrqId(index), handler.arg);
        l.running.fetch_sub(1, std::memory_order_release);
    }
}

}  // namespace domus::x86
