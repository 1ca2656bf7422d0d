// SPDX-License-Identifier: GPL-2.0-or-later
// The interrupt lines of the machine: which exist, where they are delivered, what happens when one arrives.
// This is port/interrupt.hpp without the hardware, which it reaches through LocalApic, IoApic and PciConfig;
// arch/x86_64/irq.cpp owns the one instance.
//
// Lines [0, gsi_count) are the GSIs, the rest is for MSIs. A GSI that is edge-triggered and every MSI are
// masked lazily: the request that arrives while the line is masked is remembered and replayed by unmask,
// since the hardware might drop it. A level-triggered line is masked at its I/O APIC while it is in service,
// so that other interrupts of the CPU are not held up.
#pragma once

#include <atomic>
#include <span>

#include "arch_devices/io_apic.hpp"
#include "arch_devices/local_apic.hpp"
#include "arch_devices/vectors.hpp"
#include "drivers/msi.hpp"
#include "drivers/pci.hpp"
#include "port/interrupt.hpp"
#include "port/lock.hpp"

namespace domus::x86 {

struct IrqLine {
    enum class Kind : u8 { free, gsi, msi, msix };

    SpinLock lock{Rank::device};
    Kind kind = Kind::free;
    Trigger trigger = Trigger::edge;
    Polarity polarity = Polarity::high;
    bool claimed = false;  // the hypervisor's own
    bool masked = true;    // as irq_mask() and irq_unmask() left it
    bool hardware_masked = true;
    bool opened = false;      // an interrupt may have been sent since the line was given out
    bool in_service = false;  // level-triggered, waits for irq_eoi()
    bool replay = false;      // an edge came while masked
    u8 vector = 0;            // 0: none
    CpuId cpu;
    u8 old_vector = 0;  // still leads here until the first arrival at `vector`
    CpuId old_cpu;
    bool move_wanted = false;
    CpuId move_to;
    IrqHandler handler;
    std::atomic<u32> running{0};  // handlers at work
    u64 deliveries = 0;
    MsiPlace msi;       // msi and msix
    u8 group_size = 1;  // lines of the same multi-message MSI, contiguous; only the first is configured
    u8 group_index = 0;
};

class IrqTable {
  public:
    struct Config {
        LocalApic* apic = nullptr;
        std::span<IoApic> io_apics;
        std::span<VectorMap> vectors;  // one for each CPU that firmware names; not all of them may start
        std::span<IrqLine> lines;      // at least gsi_count; the rest serves MSIs
        PciConfig* pci = nullptr;      // nullptr: no MSIs
        u32 (*apic_id)(CpuId) = nullptr;
        // Maps the page of an MSI-X table (port::map_device). The table remembers mappings.
        Result<void*> (*map_page)(Maddr page, u64 size) = nullptr;
    };

    void init(const Config& config);
    // An entry of the MADT says where an ISA interrupt is and how it signals. Before lines are used.
    void set_isa_override(u8 isa_irq, Gsi gsi, Trigger trigger, Polarity polarity);
    Gsi isa_gsi(u8 isa_irq) const { return isa_irq < 16 ? isa_[isa_irq] : Gsi(isa_irq); }

    // port/interrupt.hpp
    u32 gsi_count() const { return gsi_count_; }
    Result<> configure(Gsi gsi, Trigger trigger, Polarity polarity);
    Result<IrqId> allocate_gsi(Gsi gsi);
    Result<> allocate_msi(const MsiRequest& request, std::span<IrqId> lines);
    Trigger trigger(IrqId irq) const { return lines_[irq.v].trigger; }
    Result<> attach(IrqId irq, IrqHandler handler);
    void detach(IrqId irq);
    void mask(IrqId irq);
    void unmask(IrqId irq);
    void eoi(IrqId irq);
    Result<> set_affinity(IrqId irq, CpuId cpu);
    void free(IrqId irq);

    // As allocate_gsi and attach, for the hypervisor itself: a guest may still allocate the line, as it does
    // for every one that it finds described, but not attach to it. EBUSY: a guest has it.
    Result<IrqId> claim_gsi(Gsi gsi, IrqHandler handler);

    // A device vector arrived on this CPU: acknowledges it and runs the handler. Interrupts are off.
    void deliver(CpuId cpu, u8 vector);

    u64 stray_interrupts() const { return stray_.load(std::memory_order_relaxed); }
    // For reports: the line's state.
    const IrqLine& line(IrqId irq) const { return lines_[irq.v]; }

  private:
    struct Mapping {
        u64 page = 0;
        void* at = nullptr;
    };

    bool valid(IrqId irq) const { return irq.v < lines_.size(); }
    u32 cpus() const;  // that can take an interrupt: those that run
    IoApic* io_apic_of(Gsi gsi);
    Redirection redirection(const IrqLine& line) const;
    void hardware_mask(u32 index, bool masked);
    void program(u32 index);  // writes destination and vector, with the present hardware mask
    Result<> take_vectors(u32 first, u32 count, CpuId cpu);
    void release_vector(CpuId cpu, u8& vector);
    Result<> take_vectors(u32 first, u32 count, CpuId cpu, u8 vector);
    Result<> move_now(u32 index, CpuId to);
    Result<volatile void*> map_table(u64 at);
    Result<u32> find_msi_lines(const MsiRequest& request, u32 count);
    bool device_has_lines(const PciAddress& device) const;

    SpinLock lock_{Rank::irq};  // allocation: kinds, vectors, groups
    Config c_;
    std::span<IrqLine> lines_;
    u32 gsi_count_ = 0;
    Gsi isa_[16];
    Mapping mappings_[64];
    std::atomic<u64> stray_{0};
};

}  // namespace domus::x86
