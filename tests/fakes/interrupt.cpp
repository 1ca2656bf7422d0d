// SPDX-License-Identifier: GPL-2.0-or-later
// The simulated interrupt lines.
#include "fakes/interrupt.hpp"

#include <thread>

#include "port/cpu.hpp"

namespace domus {
namespace fakes {

Interrupts interrupts;

namespace {
void deliver(IrqId irq) {
    IrqLine& line = interrupts.lines[irq.v];
    if (line.masked || line.in_service || line.handler.run == nullptr) {
        if (!line.level) line.lost++;
        return;
    }
    line.in_service = line.level;
    line.deliveries++;
    line.handler.run(irq, line.handler.arg);
}
// A CPU takes an interrupt only once it holds no lock: a thread of its own stands for that moment.
void redeliver(IrqId irq) {
    if (!interrupts.lines[irq.v].level || !interrupts.lines[irq.v].asserted) return;
    std::thread([irq, cpu = port::this_cpu()] {
        port::fake_cpu = cpu;
        deliver(irq);
    }).join();
}
}  // namespace

void Interrupts::raise(IrqId irq) {
    lines[irq.v].asserted = lines[irq.v].level;
    deliver(irq);
}

}  // namespace fakes

namespace port {

using fakes::interrupts;

u32 gsi_count() { return fakes::Interrupts::gsis; }
Result<> gsi_configure(Gsi gsi, Trigger trigger, Polarity) {
    if (gsi.v >= gsi_count()) return fail(Error::inval);
    interrupts.level[gsi.v] = trigger == Trigger::level;
    for (auto& line : interrupts.lines)
        if (line.used && line.gsi == gsi) line.level = interrupts.level[gsi.v];
    return {};
}
Result<IrqId> irq_allocate_gsi(Gsi gsi) {
    if (gsi.v >= gsi_count()) return fail(Error::inval);
    for (u32 i = 0; i < interrupts.lines.size(); i++)
        if (interrupts.lines[i].used && interrupts.lines[i].gsi == gsi) return IrqId(i);
    if (interrupts.no_vectors_after == 0) return fail(Error::nospc);
    interrupts.no_vectors_after--;
    fakes::IrqLine line;
    line.used = true;
    line.gsi = gsi;
    line.level = interrupts.level[gsi.v];
    interrupts.lines.push_back(line);
    return IrqId(static_cast<u32>(interrupts.lines.size() - 1));
}
Result<> irq_allocate_msi(const MsiRequest&, std::span<IrqId> lines) {
    if (interrupts.no_vectors_after < lines.size()) return fail(Error::nospc);
    for (IrqId& irq : lines) {
        interrupts.no_vectors_after--;
        fakes::IrqLine line;
        line.used = true;
        interrupts.lines.push_back(line);
        irq = IrqId(static_cast<u32>(interrupts.lines.size() - 1));
    }
    return {};
}
Trigger irq_trigger(IrqId irq) { return interrupts.lines[irq.v].level ? Trigger::level : Trigger::edge; }
Result<> irq_attach(IrqId irq, IrqHandler handler) {
    if (interrupts.lines[irq.v].handler.run != nullptr) return fail(Error::busy);
    interrupts.lines[irq.v].handler = handler;
    return {};
}
void irq_detach(IrqId irq) {
    auto& line = interrupts.lines[irq.v];
    line.handler = {};
    line.masked = true;
    line.in_service = false;
}
void irq_mask(IrqId irq) { interrupts.lines[irq.v].masked = true; }
void irq_unmask(IrqId irq) {
    interrupts.lines[irq.v].masked = false;
    fakes::redeliver(irq);
}
void irq_eoi(IrqId irq) {
    interrupts.lines[irq.v].eois++;
    interrupts.lines[irq.v].in_service = false;
    fakes::redeliver(irq);
}
Result<> irq_set_affinity(IrqId irq, CpuId cpu) {
    interrupts.lines[irq.v].cpu = cpu;
    return {};
}
void irq_free(IrqId irq) { interrupts.lines[irq.v] = fakes::IrqLine(); }

}  // namespace port
}  // namespace domus
