// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupt lines over simulated controllers: I/O APIC, local APIC, PCI devices with MSI and MSI-X.
#include "arch_devices/irq_table.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <vector>

#include "arch_devices/pic.hpp"
#include "fakes/io.hpp"
#include "fakes/machine.hpp"

namespace domus::x86 {
namespace {

// One I/O APIC of 24 pins, one local APIC page, PCI configuration space of one device at 00:03.0.
struct Board : fakes::IoBus {
    Board() {
        local[0x30 / 4] = 0x00050014;  // version, 6 LVT entries
        std::memset(config, 0, sizeof config);
        put16(0x00, 0x1234);
        put16(0x04, 0x0002);  // memory decoding on
        put16(0x06, 0x0010);  // has capabilities
        config[0x34] = 0x40;
        config[0x40] = 0x01;  // power management
        config[0x41] = 0x50;
        config[0x50] = 0x05;  // MSI: 64-bit, maskable, 4 messages
        config[0x51] = 0x70;
        put16(0x52, 0x0184);
        config[0x70] = 0x11;  // MSI-X: 8 entries at offset 0x100 of BAR 2
        put16(0x72, 0x0007);
        put32(0x74, 0x00000102);
    }
    void put16(u32 at, u16 v) { std::memcpy(config + at, &v, 2); }
    void put32(u32 at, u32 v) { std::memcpy(config + at, &v, 4); }
    u16 get16(u32 at) { return static_cast<u16>(config[at] | config[at + 1] << 8); }
    u32 get32(u32 at) { return static_cast<u32>(get16(at) | get16(at + 2) << 16); }

    u64 mmio_read(const volatile void* at, unsigned size) override {
        const auto* p = static_cast<const volatile u8*>(at);
        if (p == io_page + 0x10) return index == 1 ? version : rte[index - 0x10];
        return IoBus::mmio_read(at, size);
    }
    void mmio_write(volatile void* at, unsigned size, u64 v) override {
        const auto* p = static_cast<volatile u8*>(at);
        if (p == io_page) {
            index = static_cast<u32>(v);
        } else if (p == io_page + 0x10) {
            rte[index - 0x10] = static_cast<u32>(v);
        } else {
            const auto offset = p - reinterpret_cast<u8*>(local);
            if (offset == 0xb0) eois++;
            if (offset == 0x300) ipis.push_back(u64{local[0x310 / 4]} << 32 | v);
            IoBus::mmio_write(at, size, v);
        }
    }
    u32 in(u16 port, unsigned size) override {
        if (port == 0xcf8) return address;
        if (port >= 0xcfc && port <= 0xcff) {
            if ((address & 0x80ffff00) != 0x80001800) return size == 4 ? ~0u : (1u << 8 * size) - 1;
            u32 v = 0;
            std::memcpy(&v, config + (address & 0xfc) + (port & 3), size);
            return v;
        }
        return IoBus::in(port, size);
    }
    void out(u16 port, unsigned size, u32 v) override {
        if (port == 0xcf8) address = v;
        if (port >= 0xcfc && port <= 0xcff && (address & 0x80ffff00) == 0x80001800)
            std::memcpy(config + (address & 0xfc) + (port & 3), &v, size);
    }
    u64 entry(u32 pin) const { return u64{rte[2 * pin + 1]} << 32 | rte[2 * pin]; }
    bool pin_masked(u32 pin) const { return (rte[2 * pin] & 1u << 16) != 0; }

    alignas(4096) u8 io_page[4096] = {};
    alignas(4096) u32 local[1024] = {};
    alignas(4096) u32 msix[1024] = {};
    u8 config[256];
    u32 rte[240] = {};
    u32 version = 0x00170011;  // 24 pins
    u32 index = 0, address = 0x80000000;
    int eois = 0;
    std::vector<u64> ipis;
};

constexpr PciAddress kDevice{0, 0, 3 << 3};

Board* board;

struct IrqTableTest : testing::Test {
    IrqTableTest() : machine(64 * kMiB, 3), lines(64), vectors(3) {
        board = &hw;
        apic.setup(hw.local, false);
        EXPECT_TRUE(io_apics[0].init(hw.io_page, Gsi(0)));
        IrqTable::Config c;
        c.apic = &apic;
        c.io_apics = io_apics;
        c.vectors = vectors;
        c.lines = lines;
        c.pci = &pci;
        c.apic_id = [](CpuId cpu) { return cpu.v == 2 ? 300 : cpu.v + 4; };
        c.map_page = [](Maddr at, u64) -> Result<void*> {
            if (at != Maddr(0xfe000000)) return fail(Error::nomem);
            return static_cast<void*>(board->msix);
        };
        table.init(c);
        fired.clear();
    }
    static inline std::vector<u32> fired;
    static void record(IrqId irq, void*) { fired.push_back(irq.v); }
    IrqId gsi(u32 n, Trigger t) {
        EXPECT_TRUE(table.configure(Gsi(n), t, Polarity::low));
        const IrqId irq = table.allocate_gsi(Gsi(n)).value();
        EXPECT_TRUE(table.attach(irq, {record, nullptr}));
        return irq;
    }
    u8 vector_of(IrqId irq) { return table.line(irq).vector; }

    fakes::Machine machine;
    Board hw;
    LocalApic apic;
    IoApic io_apics[1];
    std::vector<IrqLine> lines;
    std::vector<VectorMap> vectors;
    PciConfig pci;
    IrqTable table;
};

TEST_F(IrqTableTest, GsiLifeCycle) {
    EXPECT_EQ(table.gsi_count(), 24u);
    EXPECT_EQ(table.allocate_gsi(Gsi(24)).error(), Error::inval);
    EXPECT_EQ(table.configure(Gsi(99), Trigger::edge, Polarity::high).error(), Error::inval);
    const IrqId irq = gsi(10, Trigger::level);
    EXPECT_EQ(table.allocate_gsi(Gsi(10)).value(), irq) << "the same line again";
    EXPECT_TRUE(hw.pin_masked(10));
    EXPECT_EQ(table.attach(irq, {record, nullptr}).error(), Error::busy);
    EXPECT_EQ(table.configure(Gsi(10), Trigger::edge, Polarity::low).error(), Error::busy);
    EXPECT_TRUE(table.configure(Gsi(10), Trigger::level, Polarity::low)) << "no change, no refusal";
    table.unmask(irq);
    EXPECT_EQ(hw.entry(10), u64{4} << 56 | 1u << 15 | 1u << 13 | vector_of(irq));
    table.free(irq);
    EXPECT_TRUE(hw.pin_masked(10));
    EXPECT_EQ(table.attach(irq, {record, nullptr}).error(), Error::inval);
    table.free(irq);
    table.free(IrqId(1000));
}

TEST_F(IrqTableTest, LevelLineIsHeldUntilEoi) {
    const IrqId irq = gsi(10, Trigger::level);
    table.unmask(irq);
    table.deliver(CpuId(0), vector_of(irq));
    EXPECT_EQ(fired, (std::vector<u32>{10}));
    EXPECT_EQ(hw.eois, 1);
    EXPECT_TRUE(hw.pin_masked(10));
    table.mask(irq);
    table.unmask(irq);
    EXPECT_TRUE(hw.pin_masked(10)) << "still in service";
    table.eoi(irq);
    EXPECT_FALSE(hw.pin_masked(10));
    table.deliver(CpuId(0), vector_of(irq));
    table.mask(irq);
    table.eoi(irq);
    EXPECT_TRUE(hw.pin_masked(10));
    table.unmask(irq);
    EXPECT_FALSE(hw.pin_masked(10));
}

TEST_F(IrqTableTest, EdgeWhileMaskedIsReplayed) {
    const IrqId irq = gsi(4, Trigger::edge);
    table.unmask(irq);
    table.mask(irq);
    EXPECT_FALSE(hw.pin_masked(4)) << "lazily";
    table.deliver(CpuId(0), vector_of(irq));
    EXPECT_TRUE(fired.empty());
    EXPECT_TRUE(hw.pin_masked(4));
    table.unmask(irq);
    EXPECT_FALSE(hw.pin_masked(4));
    ASSERT_EQ(hw.ipis.size(), 1u);
    EXPECT_EQ(hw.ipis[0], u64{4} << 56 | 0x4000 | vector_of(irq));
    table.deliver(CpuId(0), vector_of(irq));
    EXPECT_EQ(fired.size(), 1u);
    table.mask(irq);
    table.unmask(irq);
    EXPECT_EQ(hw.ipis.size(), 1u);
}

TEST_F(IrqTableTest, AffinityMovesWithTheNextInterrupt) {
    const IrqId irq = gsi(4, Trigger::edge);
    ASSERT_TRUE(table.set_affinity(irq, CpuId(1)));  // never unmasked: at once
    EXPECT_EQ(table.line(irq).cpu, CpuId(1));
    table.unmask(irq);
    EXPECT_EQ(hw.entry(4) >> 56, 5u);
    ASSERT_TRUE(table.set_affinity(irq, CpuId(0)));
    EXPECT_EQ(hw.entry(4) >> 56, 5u);
    const u8 old = vector_of(irq);
    table.deliver(CpuId(1), old);
    EXPECT_EQ(hw.entry(4) >> 56, 4u);
    EXPECT_FALSE(hw.pin_masked(4));
    table.deliver(CpuId(1), old);  // one that was on its way
    EXPECT_EQ(fired.size(), 2u);
    table.deliver(CpuId(0), vector_of(irq));
    EXPECT_EQ(fired.size(), 3u);
    EXPECT_EQ(vectors[1].line[old].load(), kLineLeft)
        << "given back after the first arrival at the new place";
    EXPECT_TRUE(vectors[1].free_run(old, 1));
    const int eois = hw.eois;
    table.deliver(CpuId(1), old);  // one that was on its way all the time
    EXPECT_EQ(hw.eois, eois + 1);
    EXPECT_EQ(fired.size(), 3u);
    EXPECT_EQ(table.stray_interrupts(), 0u);
    EXPECT_EQ(table.set_affinity(irq, CpuId(2)).error(), Error::nospc)
        << "APIC IDs from 255 on are out of reach";
    EXPECT_EQ(table.set_affinity(irq, CpuId(3)).error(), Error::inval);
}

// An edge that CPU 0 has accepted before the line was masked must still reach the handler.
TEST_F(IrqTableTest, EdgeOnItsWayOutlivesAMoveWhileMasked) {
    const IrqId irq = gsi(4, Trigger::edge);
    table.unmask(irq);
    table.mask(irq);
    table.deliver(CpuId(0), vector_of(irq));
    table.unmask(irq);  // sends it to CPU 0 again
    ASSERT_EQ(hw.ipis.size(), 1u);
    const u8 sent = vector_of(irq);
    table.mask(irq);
    lines[irq.v].hardware_masked = true;
    ASSERT_TRUE(table.set_affinity(irq, CpuId(1)));
    table.deliver(CpuId(0), sent);
    table.unmask(irq);
    ASSERT_EQ(hw.ipis.size(), 2u) << "remembered and replayed, at the new place";
    EXPECT_EQ(hw.ipis[1] >> 56, 5u);
    table.deliver(CpuId(1), vector_of(irq));
    EXPECT_EQ(fired, (std::vector<u32>{4}));
}

// Remote IRR of the pin is cleared by the EOI for the vector that it was sent with.
TEST_F(IrqTableTest, LevelOnItsWayArrivesWhereItWasSent) {
    const IrqId irq = gsi(10, Trigger::level);
    table.unmask(irq);
    const u8 sent = vector_of(irq);
    table.mask(irq);
    ASSERT_TRUE(table.set_affinity(irq, CpuId(1)));
    EXPECT_EQ(hw.entry(10) & 0xff, sent);
    EXPECT_EQ(hw.entry(10) >> 56, 4u);
    EXPECT_EQ(vectors[0].line[sent].load(), irq.v);
}

TEST_F(IrqTableTest, MsiWithoutMaskIsNeverQuiet) {
    hw.put16(0x52, 0x0084);  // no mask bits
    IrqId irqs[1];
    ASSERT_TRUE(table.allocate_msi({kDevice}, irqs));
    ASSERT_TRUE(table.attach(irqs[0], {record, nullptr}));
    const u8 v = vector_of(irqs[0]);
    ASSERT_TRUE(table.set_affinity(irqs[0], CpuId(1)));
    table.deliver(CpuId(0), v);  // sent before the move
    table.unmask(irqs[0]);
    ASSERT_EQ(hw.ipis.size(), 1u);
    table.deliver(CpuId(1), vector_of(irqs[0]));
    EXPECT_EQ(fired.size(), 1u);
}

TEST(IoApicTest, MorePinsThanTheIndexReaches) {
    Board hw;
    IoApic a;
    hw.version = 119u << 16 | 0x11;
    EXPECT_TRUE(a.init(hw.io_page, Gsi(0)));
    hw.version = 120u << 16 | 0x11;
    EXPECT_EQ(a.init(hw.io_page, Gsi(0)).error(), Error::nodev);
}

TEST_F(IrqTableTest, LevelLineMovesMaskedAndStaysHeld) {
    const IrqId irq = gsi(11, Trigger::level);
    table.unmask(irq);
    ASSERT_TRUE(table.set_affinity(irq, CpuId(1)));
    table.deliver(CpuId(0), vector_of(irq));
    EXPECT_TRUE(hw.pin_masked(11));
    EXPECT_EQ(hw.entry(11) >> 56, 5u);
    table.eoi(irq);
    EXPECT_FALSE(hw.pin_masked(11));
}

// Between writing the address and the data of an MSI that cannot be masked, a message would go to the new CPU
// with the old vector.
TEST_F(IrqTableTest, MsiWithoutMaskMovesInOneWrite) {
    hw.put16(0x52, 0x0084);  // no mask bits
    IrqId irqs[1];
    ASSERT_TRUE(table.allocate_msi({kDevice}, irqs));
    const IrqId irq = irqs[0];
    ASSERT_TRUE(table.attach(irq, {record, nullptr}));
    table.unmask(irq);
    const u8 v = vector_of(irq);
    ASSERT_TRUE(table.set_affinity(irq, CpuId(1)));
    table.deliver(CpuId(0), v);
    EXPECT_EQ(hw.get32(0x54), 0xfee05000u);
    EXPECT_EQ(hw.get16(0x5c), v) << "the vector's number is kept";
    table.deliver(CpuId(1), v);
    EXPECT_EQ(fired.size(), 2u);

    vectors[0].line[v] = 5;  // taken there meanwhile: the line stays where it is
    ASSERT_TRUE(table.set_affinity(irq, CpuId(0)));
    table.deliver(CpuId(1), v);
    EXPECT_EQ(hw.get32(0x54), 0xfee05000u);
    EXPECT_EQ(hw.get16(0x5c), v);
    table.deliver(CpuId(1), v);
    EXPECT_EQ(fired.size(), 4u);
}

TEST_F(IrqTableTest, MsiWithMaskMovesMasked) {
    IrqId irqs[1];
    ASSERT_TRUE(table.allocate_msi({kDevice}, irqs));
    ASSERT_TRUE(table.attach(irqs[0], {record, nullptr}));
    table.unmask(irqs[0]);
    const u8 v = vector_of(irqs[0]);
    vectors[1].line[v] = 5;
    ASSERT_TRUE(table.set_affinity(irqs[0], CpuId(1)));
    table.deliver(CpuId(0), v);
    EXPECT_EQ(hw.get32(0x54), 0xfee05000u);
    EXPECT_EQ(hw.get16(0x5c), vector_of(irqs[0]));
    EXPECT_NE(vector_of(irqs[0]), v);
    EXPECT_EQ(hw.get32(0x60) & 1, 0u) << "unmasked again";
}

TEST_F(IrqTableTest, VectorsRunOutCleanly) {
    u32 taken = 0;
    for (u32 i = 0; i < 200; i++) {
        const u8 v = vectors[0].find(1);
        if (v == 0) break;
        EXPECT_TRUE(VectorMap::usable(v));
        EXPECT_EQ(vectors[0].line[v].load(), kNoLine);
        vectors[0].line[v] = 0;
        taken++;
    }
    EXPECT_EQ(taken, 0xe0u - 0x30 - 2);
    const IrqId irq = table.allocate_gsi(Gsi(5)).value();
    EXPECT_EQ(table.line(irq).cpu, CpuId(1)) << "another CPU helps out";
}

TEST_F(IrqTableTest, ClaimedLineIsRefusedToOthers) {
    static u32 calls;
    calls = 0;
    const IrqHandler handler{[](IrqId, void*) { calls++; }, nullptr};
    const IrqId irq = table.claim_gsi(Gsi(4), handler).value();
    table.unmask(irq);
    EXPECT_EQ(table.allocate_gsi(Gsi(4)).value(), irq) << "a guest may map it";
    EXPECT_EQ(table.attach(irq, {[](IrqId, void*) {}, nullptr}).error(), Error::busy);
    EXPECT_EQ(table.configure(Gsi(4), Trigger::level, Polarity::low).error(), Error::busy);
    table.deliver(CpuId(0), vector_of(irq));
    EXPECT_EQ(calls, 1u) << "still the hypervisor's, and not masked by the map";
    table.allocate_gsi(Gsi(3)).value();
    EXPECT_EQ(table.claim_gsi(Gsi(3), handler).error(), Error::busy);
    // Given back: free for a guest.
    table.detach(irq);
    table.free(irq);
    EXPECT_TRUE(table.attach(table.allocate_gsi(Gsi(4)).value(), handler));
}

TEST_F(IrqTableTest, IsaOverrides) {
    table.set_isa_override(0, Gsi(2), Trigger::edge, Polarity::high);
    table.set_isa_override(9, Gsi(9), Trigger::level, Polarity::low);
    table.set_isa_override(200, Gsi(9), Trigger::level, Polarity::low);
    table.set_isa_override(1, Gsi(900), Trigger::level, Polarity::low);
    EXPECT_EQ(table.isa_gsi(0), Gsi(2));
    EXPECT_EQ(table.isa_gsi(1), Gsi(1));
    EXPECT_EQ(table.trigger(IrqId(9)), Trigger::level);
}

TEST_F(IrqTableTest, StrayVectorsAreAcknowledgedAndCounted) {
    table.deliver(CpuId(0), 0x55);
    table.deliver(CpuId(0), 0x55);
    EXPECT_EQ(hw.eois, 2);
    EXPECT_EQ(table.stray_interrupts(), 2u);
}

TEST_F(IrqTableTest, MsiWithSeveralMessages) {
    IrqId irqs[4];
    EXPECT_EQ(table.allocate_msi({kDevice}, std::span(irqs, 3)).error(), Error::inval);
    EXPECT_EQ(table.allocate_msi({{0, 0, 0}}, std::span(irqs, 1)).error(), Error::nodev);
    IrqId eight[8];
    EXPECT_EQ(table.allocate_msi({kDevice}, eight).error(), Error::inval) << "the device has four";
    ASSERT_TRUE(table.allocate_msi({kDevice}, irqs));
    const u8 v = vector_of(irqs[0]);
    EXPECT_EQ(v % 4, 0);
    EXPECT_EQ(hw.get32(0x54), 0xfee04000u);
    EXPECT_EQ(hw.get32(0x58), 0u);
    EXPECT_EQ(hw.get16(0x5c), v);
    EXPECT_EQ(hw.get32(0x60), 0xfu) << "all masked";
    EXPECT_EQ(hw.get16(0x52), 0x0184 | 2 << 4 | 1) << "four messages, enabled";
    EXPECT_EQ(hw.get16(0x04), 0x0402) << "INTx off";
    ASSERT_TRUE(table.attach(irqs[2], {record, nullptr}));
    table.unmask(irqs[2]);
    EXPECT_EQ(hw.get32(0x60), 0xbu);
    table.deliver(CpuId(0), static_cast<u8>(v + 2));
    EXPECT_EQ(fired, (std::vector<u32>{irqs[2].v}));
    EXPECT_EQ(table.set_affinity(irqs[2], CpuId(1)).error(), Error::opnotsupp);
    EXPECT_EQ(table.allocate_msi({kDevice}, std::span(eight, 1)).error(), Error::exist);
    for (IrqId i : irqs) table.free(i);
    EXPECT_EQ(hw.get16(0x52) & 1, 0);
    ASSERT_TRUE(table.allocate_msi({kDevice}, std::span(irqs, 1)));
}

TEST_F(IrqTableTest, MsixEntries) {
    IrqId a[1], b[1];
    EXPECT_EQ(table.allocate_msi({kDevice, 8, 0xfe000000}, a).error(), Error::inval);
    EXPECT_EQ(table.allocate_msi({kDevice, 1, 0xdd000000}, a).error(), Error::nomem);
    ASSERT_TRUE(table.allocate_msi({kDevice, 1, 0xfe000000}, a));
    ASSERT_TRUE(table.allocate_msi({kDevice, 2, 0xfe000000}, b));
    EXPECT_EQ(table.allocate_msi({kDevice, 2, 0xfe000000}, b).error(), Error::exist);
    const u32* e = hw.msix + 0x100 / 4 + 4;
    EXPECT_EQ(e[0], 0xfee04000u);
    EXPECT_EQ(e[2], vector_of(a[0]));
    EXPECT_EQ(e[3], 1u);
    EXPECT_EQ(hw.get16(0x72), 0x8007);
    ASSERT_TRUE(table.attach(a[0], {record, nullptr}));
    table.unmask(a[0]);
    EXPECT_EQ(e[3], 0u);
    ASSERT_TRUE(table.set_affinity(a[0], CpuId(1)));
    table.deliver(CpuId(0), vector_of(a[0]));
    EXPECT_EQ(e[0], 0xfee05000u);
    EXPECT_EQ(e[2], vector_of(a[0]));
    EXPECT_EQ(e[3], 0u);
    table.free(a[0]);
    EXPECT_EQ(e[3], 1u);
    EXPECT_EQ(hw.get16(0x72), 0x8007) << "the other entry still lives";
    table.free(b[0]);
    EXPECT_EQ(hw.get16(0x72), 0x0007);
}

// Firmware may name CPUs that do not start: what goes there is lost.
TEST(IrqTableCpus, OnlyThoseThatRunTakeInterrupts) {
    fakes::Machine machine(64 * kMiB, 1);
    Board hw;
    LocalApic apic;
    apic.setup(hw.local, false);
    IoApic io_apics[1];
    ASSERT_TRUE(io_apics[0].init(hw.io_page, Gsi(0)));
    std::vector<IrqLine> lines(64);
    std::vector<VectorMap> vectors(2);
    PciConfig pci;
    IrqTable table;
    IrqTable::Config c;
    c.apic = &apic;
    c.io_apics = io_apics;
    c.vectors = vectors;
    c.lines = lines;
    c.pci = &pci;
    c.apic_id = [](CpuId cpu) { return cpu.v; };
    table.init(c);
    const IrqId irq = table.allocate_gsi(Gsi(4)).value();
    EXPECT_EQ(table.set_affinity(irq, CpuId(1)).error(), Error::inval);
    for (auto& l : vectors[0].line) l.store(4);
    EXPECT_EQ(table.allocate_gsi(Gsi(5)).error(), Error::nospc);
    IrqId msi[1];
    EXPECT_EQ(table.allocate_msi({kDevice}, msi).error(), Error::nospc);
}

TEST_F(IrqTableTest, MsiLinesRunOut) {
    // 64 lines less 24 GSIs; entries of many devices cannot be had here, so fill by hand.
    for (u32 i = 24; i < 64; i++) lines[i].kind = IrqLine::Kind::msi;
    IrqId a[1];
    EXPECT_EQ(table.allocate_msi({kDevice}, a).error(), Error::nospc);
}

TEST_F(IrqTableTest, DetachedLineStaysQuiet) {
    const IrqId irq = gsi(10, Trigger::level);
    table.unmask(irq);
    const u8 v = vector_of(irq);
    table.deliver(CpuId(0), v);
    table.detach(irq);
    EXPECT_TRUE(hw.pin_masked(10));
    table.eoi(irq);
    EXPECT_TRUE(hw.pin_masked(10));
    table.deliver(CpuId(0), v);
    EXPECT_EQ(fired.size(), 1u);
    ASSERT_TRUE(table.attach(irq, {record, nullptr}));
    table.unmask(irq);
    table.deliver(CpuId(0), v);
    EXPECT_EQ(fired.size(), 2u);
}

TEST(IoApicTest, AbsentIsRefused) {
    struct : fakes::IoBus {
        u64 mmio_read(const volatile void*, unsigned) override { return 0xffffffff; }
    } bus;
    u8 page[64];
    IoApic a;
    EXPECT_EQ(a.init(page, Gsi(0)).error(), Error::nodev);
}

TEST(LocalApicTest, XapicRegisters) {
    Board hw;
    hw.local[0x20 / 4] = 7u << 24;
    LocalApic apic;
    apic.setup(hw.local, false);
    apic.enable(1, Trigger::edge, Polarity::high);
    EXPECT_EQ(hw.msrs[LocalApic::kMsrApicBase] & 0xc00, 0x800u);
    EXPECT_EQ(hw.local[0xf0 / 4], 0x1ffu);
    EXPECT_EQ(hw.local[0x350 / 4], 0x10000u);
    EXPECT_EQ(hw.local[0x360 / 4], 0x400u);
    EXPECT_EQ(apic.id(), 7u);
    apic.send(9, 0x41);
    apic.send_init(9);
    apic.send_startup(9, 0x8f);
    EXPECT_EQ(hw.ipis, (std::vector<u64>{0x0900000000004041, 0x090000000000c500, 0x090000000000468f}));
    apic.timer_use_one_shot();
    apic.timer_arm_one_shot(1234);
    EXPECT_EQ(hw.local[0x320 / 4], kVectorTimer);
    EXPECT_EQ(hw.local[0x380 / 4], 1234u);
}

TEST(LocalApicTest, X2apicUsesRegistersOfTheCpu) {
    fakes::IoBus hw;
    hw.msrs[LocalApic::kMsrApicBase] = 0xfee00000;
    hw.msrs[0x802] = 0x12345;
    EXPECT_FALSE(LocalApic::firmware_uses_x2apic());
    LocalApic apic;
    apic.setup(nullptr, true);
    apic.enable(1, Trigger::edge, Polarity::high);
    EXPECT_TRUE(LocalApic::firmware_uses_x2apic());
    EXPECT_EQ(apic.id(), 0x12345u);
    apic.send(0x10001, 0x41);
    EXPECT_EQ(hw.msrs[0x830], 0x0001000100004041u);
    apic.timer_use_deadline();
    apic.timer_arm_deadline(99);
    EXPECT_EQ(hw.msrs[LocalApic::kMsrTscDeadline], 99u);
    EXPECT_EQ(hw.msrs[0x832], 0x40000u | kVectorTimer);
}

TEST(PicTest, EndsMasked) {
    struct : fakes::IoBus {
        void out(u16 port, unsigned, u32 v) override { last[port] = v; }
        std::map<u16, u32> last;
    } bus;
    disable_pic();
    EXPECT_EQ(bus.last[0x21], 0xffu);
    EXPECT_EQ(bus.last[0xa1], 0xffu);
}

TEST(PciTest, LoopingCapabilityListEnds) {
    Board hw;
    hw.config[0x41] = 0x40;
    PciConfig pci;
    EXPECT_EQ(pci.find_capability(kDevice, 0x05), 0);
    hw.config[0x41] = 0x04;  // into the header
    EXPECT_EQ(pci.find_capability(kDevice, 0x05), 0);
    EXPECT_EQ(pci.find_capability({0, 1, 0}, 0x05), 0) << "no device";
    EXPECT_EQ(pci.read<u32>({1, 0, 0}, 0), ~0u) << "a segment without a mapping";
    EXPECT_EQ(pci.read<u16>(kDevice, 0x100), 0xffff) << "beyond what ports reach";
}

TEST(PciTest, MappedSpaceIsPreferred) {
    fakes::IoBus hw;
    std::vector<u8> space(2u << 20);
    PciConfig pci;
    ASSERT_TRUE(pci.add_ecam({0, 4, 5, space.data() - (4 << 20)}));
    const PciAddress d{0, 5, 0x0a};
    pci.write<u32>(d, 0x104, 0xdeadbeef);
    u32 v;
    std::memcpy(&v, &space[(1 << 20) + 0xa * 4096 + 0x104], 4);
    EXPECT_EQ(v, 0xdeadbeef);
    EXPECT_EQ(pci.read<u16>(d, 0x106), 0xdead);
    EXPECT_EQ(pci.read<u8>({0, 6, 0}, 0), 0xff);
    for (usize i = 1; i < PciConfig::kMaxEcam; i++) EXPECT_TRUE(pci.add_ecam({}));
    EXPECT_FALSE(pci.add_ecam({}));
}

}  // namespace
}  // namespace domus::x86
