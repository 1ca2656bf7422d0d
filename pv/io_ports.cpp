// SPDX-License-Identifier: GPL-2.0-or-later
// Deciding on ports, and emulating those that are shared.
#include "pv/io_ports.hpp"

#include "core/domain.hpp"
#include "core/vcpu.hpp"
#include "port/guest_memory.hpp"
#include "port/io.hpp"
#include "port/lock.hpp"
#include "port/pci_ports.hpp"

namespace domus::pv {

namespace {

constinit u16 uart_base = 0;
// Index/data pairs shared by all CPUs: the PCI configuration address, and the CMOS index. The hypervisor uses
// both registers itself, so the guest's index is kept here and written together with the data access.
constinit SpinLock index_lock{Rank::device};
constinit u32 pci_address = 0;
constinit u8 cmos_index = 0;

constexpr u16 kPciAddress = 0xcf8, kPciData = 0xcfc, kCmosIndex = 0x70, kCmosData = 0x71;

struct Range {
    u16 first, last;
};
// The hypervisor's own: interrupt controllers, and the timer channels 0 and 1 with their control word.
constexpr Range kOwnPorts[] = {{0x20, 0x21}, {0xa0, 0xa1}, {0x40, 0x41}};

bool overlaps(u16 port, unsigned bytes, Range r) { return port <= r.last && port + bytes > r.first; }

bool owned_by_us(u16 port, unsigned bytes) {
    for (const Range r : kOwnPorts)
        if (overlaps(port, bytes, r)) return true;
    return uart_base != 0 && overlaps(port, bytes, {uart_base, static_cast<u16>(uart_base + 7)});
}

u32 all_ones(unsigned bytes) { return bytes == 4 ? ~0u : (1u << (8 * bytes)) - 1; }

u32 hardware_read(u16 port, unsigned bytes) {
    switch (bytes) {
        case 1: return port::in8(port);
        case 2: return port::in16(port);
        default: return port::in32(port);
    }
}
void hardware_write(u16 port, unsigned bytes, u32 value) {
    switch (bytes) {
        case 1: port::out8(port, static_cast<u8>(value)); break;
        case 2: port::out16(port, static_cast<u16>(value)); break;
        default: port::out32(port, value); break;
    }
}

bool is_pci_data(u16 port) { return port >= kPciData && port < kPciData + 4; }
// An access to configuration mechanism #1's address register is one of 4 bytes; others go to chipset
// registers there.
bool is_pci_address(u16 port, unsigned bytes) { return port == kPciAddress && bytes == 4; }

}  // namespace

void claim_uart(u16 base) { uart_base = base; }

bool port_allowed(const Vcpu& v, u16 port, unsigned bytes) {
    // What an access beyond the last port does differs between machines.
    if (port + bytes > 0x10000) return false;
    // The ABI counts the kernel of a 64-bit guest as privilege level 1.
    if (v.pv.iopl >= (v.pv.in_kernel ? 1u : 3u)) return true;
    for (unsigned i = 0; i < bytes; i++) {
        const u32 bit = u32{port} + i;
        if (bit >= v.pv.iobmp_limit) return false;
        u8 byte;
        if (port::copy_from_guest(&byte, Vaddr(v.pv.iobmp_address + bit / 8), 1) != 0) return false;
        if (((byte >> (bit % 8)) & 1) != 0) return false;
    }
    return true;
}

u32 read_port(Vcpu& v, u16 port, unsigned bytes) {
    if (!v.domain->hardware || owned_by_us(port, bytes)) return all_ones(bytes);
    LockGuard guard(index_lock);
    if (is_pci_address(port, bytes)) return pci_address;
    if (is_pci_data(port)) {
        LockGuard ports(port::pci_config_ports);
        port::out32(kPciAddress, pci_address);
        return hardware_read(port, bytes);
    }
    if (port == kCmosIndex && bytes == 1) return cmos_index;
    if (port == kCmosData) port::out8(kCmosIndex, cmos_index);
    return hardware_read(port, bytes);
}

void write_port(Vcpu& v, u16 port, unsigned bytes, u32 value) {
    if (!v.domain->hardware || owned_by_us(port, bytes)) return;
    LockGuard guard(index_lock);
    if (is_pci_address(port, bytes)) {
        pci_address = value;
        return;
    }
    if (is_pci_data(port)) {
        LockGuard ports(port::pci_config_ports);
        port::out32(kPciAddress, pci_address);
        hardware_write(port, bytes, value);
        return;
    }
    if (port == kCmosIndex) {
        cmos_index = static_cast<u8>(value);
        if (bytes == 1) return;
    }
    if (port == kCmosData) port::out8(kCmosIndex, cmos_index);
    hardware_write(port, bytes, value);
}

}  // namespace domus::pv
