// SPDX-License-Identifier: GPL-2.0-or-later
// Access to PCI configuration space.
#include "drivers/pci.hpp"

#include "port/io.hpp"
#include "port/pci_ports.hpp"

namespace domus {

namespace {
constexpr u16 kAddressPort = 0xcf8, kDataPort = 0xcfc;
constexpr u32 kEnable = 1u << 31;

u32 port_address(PciAddress d, u32 reg) {
    return kEnable | u32{d.bus} << 16 | u32{d.devfn} << 8 | (reg & 0xfc);
}
}  // namespace

Result<> PciConfig::add_ecam(const Ecam& range) {
    if (range_count_ == kMaxEcam) return fail(Error::nospc);
    ranges_[range_count_++] = range;
    return {};
}

volatile u8* PciConfig::ecam(PciAddress d, u32 reg) const {
    for (usize i = 0; i < range_count_; i++) {
        const Ecam& r = ranges_[i];
        if (r.segment == d.segment && d.bus >= r.first_bus && d.bus <= r.last_bus)
            return r.bus0 + (u64{d.bus} << 20 | u64{d.devfn} << 12 | reg);
    }
    return nullptr;
}

u32 PciConfig::read_sized(PciAddress d, u32 reg, unsigned size) {
    if (volatile u8* at = reg < 4096 ? ecam(d, reg) : nullptr) {
        switch (size) {
            case 1: return port::mmio_read<u8>(at);
            case 2: return port::mmio_read<u16>(at);
            default: return port::mmio_read<u32>(at);
        }
    }
    if (d.segment != 0 || reg >= 256) return ~u32{0};
    const u16 data = static_cast<u16>(kDataPort + (reg & 3));
    LockGuard guard(port::pci_config_ports);
    port::out32(kAddressPort, port_address(d, reg));
    u32 v;
    switch (size) {
        case 1: v = port::in8(data); break;
        case 2: v = port::in16(data); break;
        default: v = port::in32(data); break;
    }
    return v;
}

void PciConfig::write_sized(PciAddress d, u32 reg, unsigned size, u32 v) {
    if (volatile u8* at = reg < 4096 ? ecam(d, reg) : nullptr) {
        switch (size) {
            case 1: port::mmio_write<u8>(at, static_cast<u8>(v)); break;
            case 2: port::mmio_write<u16>(at, static_cast<u16>(v)); break;
            default: port::mmio_write<u32>(at, v); break;
        }
        return;
    }
    if (d.segment != 0 || reg >= 256) return;
    const u16 data = static_cast<u16>(kDataPort + (reg & 3));
    LockGuard guard(port::pci_config_ports);
    port::out32(kAddressPort, port_address(d, reg));
    switch (size) {
        case 1: port::out8(data, static_cast<u8>(v)); break;
        case 2: port::out16(data, static_cast<u16>(v)); break;
        default: port::out32(data, v); break;
    }
}

u8 PciConfig::find_capability(PciAddress device, u8 id) {
    constexpr u32 kStatus = 0x06, kPointer = 0x34;
    constexpr u16 kHasList = 1u << 4;
    constexpr unsigned kMostCapabilities = (256 - 64) / 4;
    if (!present(device) || (read<u16>(device, kStatus) & kHasList) == 0) return 0;
    u8 at = read<u8>(device, kPointer);
    for (unsigned n = 0; n < kMostCapabilities; n++) {
        at &= 0xfc;
        if (at < 0x40) return 0;
        const u16 header = read<u16>(device, at);
        if ((header & 0xff) == id) return at;
        at = static_cast<u8>(header >> 8);
    }
    return 0;
}

}  // namespace domus
