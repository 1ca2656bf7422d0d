// SPDX-License-Identifier: GPL-2.0-or-later
// MSI and MSI-X capabilities.
#include "drivers/msi.hpp"

#include <bit>

#include "port/io.hpp"

namespace domus {

namespace {

constexpr u8 kMsiId = 0x05, kMsixId = 0x11;
constexpr u32 kControl = 2;  // both capabilities

// MSI (6.8.1.3)
constexpr u16 kMsiEnable = 1u << 0, kMsiWide = 1u << 7, kMsiMaskable = 1u << 8;
constexpr u32 kMsiAddress = 4, kMsiAddressHigh = 8;
u32 data_register(const MsiPlace& p) { return p.capability + (p.wide ? 12u : 8u); }
u32 mask_register(const MsiPlace& p) { return p.capability + (p.wide ? 16u : 12u); }

// MSI-X (6.8.2.3 and following)
constexpr u16 kMsixEnable = 1u << 15, kMsixMaskAll = 1u << 14, kMsixSize = 0x7ff;
constexpr u32 kMsixTable = 4;
constexpr u32 kEntrySize = 16, kEntryAddress = 0, kEntryAddressHigh = 4, kEntryData = 8, kEntryControl = 12;
constexpr u32 kEntryMasked = 1;

constexpr u32 kCommand = 0x04;
constexpr u16 kCommandMemory = 1u << 1, kCommandNoIntx = 1u << 10;

volatile u8* entry_at(const MsiPlace& p, u32 reg) { return static_cast<volatile u8*>(p.table_entry) + reg; }

void disable_intx(PciConfig& pci, PciAddress device) {
    const u16 command = pci.read<u16>(device, kCommand);
    if ((command & kCommandNoIntx) == 0) pci.write<u16>(device, kCommand, command | kCommandNoIntx);
}

}  // namespace

Result<MsiPlace> msi_find(PciConfig& pci, PciAddress device) {
    MsiPlace p;
    p.device = device;
    p.capability = pci.find_capability(device, kMsiId);
    if (p.capability == 0) return fail(Error::nodev);
    const u16 control = pci.read<u16>(device, p.capability + kControl);
    p.wide = (control & kMsiWide) != 0;
    p.maskable = (control & kMsiMaskable) != 0;
    const unsigned log2 = control >> 1 & 7;
    p.max_messages = static_cast<u8>(1u << (log2 <= 5 ? log2 : 0));
    return p;
}

Result<MsiPlace> msix_find(PciConfig& pci, PciAddress device, u16 entry, u64 bar) {
    MsiPlace p;
    p.device = device;
    p.msix = p.maskable = true;
    p.entry = entry;
    p.capability = pci.find_capability(device, kMsixId);
    if (p.capability == 0) return fail(Error::nodev);
    if (entry > (pci.read<u16>(device, p.capability + kControl) & kMsixSize)) return fail(Error::inval);
    if ((bar & 0xf) != 0) return fail(Error::inval);
    if ((pci.read<u16>(device, kCommand) & kCommandMemory) == 0)
        return fail(Error::nxio);  // its memory does not answer
    const u32 offset = pci.read<u32>(device, p.capability + kMsixTable) & ~u32{7};
    p.table_entry_address = bar + offset + u64{entry} * kEntrySize;
    return p;
}

void msi_write(PciConfig& pci, const MsiPlace& p, const MsiMessage& m, bool masked) {
    const u32 low = static_cast<u32>(m.address), high = static_cast<u32>(m.address >> 32);
    if (p.msix) {
        const u32 control = port::mmio_read<u32>(entry_at(p, kEntryControl));
        if ((control & kEntryMasked) == 0)
            port::mmio_write<u32>(entry_at(p, kEntryControl), control | kEntryMasked);
        port::mmio_write<u32>(entry_at(p, kEntryAddress), low);
        port::mmio_write<u32>(entry_at(p, kEntryAddressHigh), high);
        port::mmio_write<u32>(entry_at(p, kEntryData), m.data);
        port::mmio_write<u32>(entry_at(p, kEntryControl),
                              masked ? control | kEntryMasked : control & ~kEntryMasked);
        return;
    }
    const u32 mask_bits = p.maskable ? pci.read<u32>(p.device, mask_register(p)) : 0;
    if (p.maskable) pci.write<u32>(p.device, mask_register(p), ~u32{0});
    pci.write<u32>(p.device, p.capability + kMsiAddress, low);
    if (p.wide) pci.write<u32>(p.device, p.capability + kMsiAddressHigh, high);
    pci.write<u16>(p.device, data_register(p), static_cast<u16>(m.data));
    if (p.maskable) pci.write<u32>(p.device, mask_register(p), mask_bits);
}

void msi_enable(PciConfig& pci, const MsiPlace& p, u32 messages) {
    const u32 reg = p.capability + kControl;
    const u16 control = pci.read<u16>(p.device, reg);
    disable_intx(pci, p.device);
    if (p.msix) {
        // Dom0's kernel may hold the whole function masked while it sets up; only a capability that was off
        // is unmasked here.
        if ((control & kMsixEnable) == 0)
            pci.write<u16>(p.device, reg, static_cast<u16>((control | kMsixEnable) & ~kMsixMaskAll));
        return;
    }
    if (p.maskable) pci.write<u32>(p.device, mask_register(p), static_cast<u32>((u64{1} << messages) - 1));
    const u32 log2 = static_cast<u32>(std::countr_zero(messages));
    pci.write<u16>(p.device, reg, static_cast<u16>((control & ~0x70u) | log2 << 4 | kMsiEnable));
}

void msi_disable(PciConfig& pci, const MsiPlace& p) {
    const u32 reg = p.capability + kControl;
    const u16 control = pci.read<u16>(p.device, reg);
    if (control == 0xffff) return;  // unplugged
    pci.write<u16>(p.device, reg, static_cast<u16>(control & ~(p.msix ? kMsixEnable : kMsiEnable)));
}

void msi_set_mask(PciConfig& pci, const MsiPlace& p, u32 message, bool masked) {
    if (p.msix) {
        const u32 control = port::mmio_read<u32>(entry_at(p, kEntryControl));
        port::mmio_write<u32>(entry_at(p, kEntryControl),
                              masked ? control | kEntryMasked : control & ~kEntryMasked);
        port::mmio_read<u32>(entry_at(p, kEntryControl));  // the write has arrived when this returns
        return;
    }
    if (!p.maskable) return;
    const u32 bits = pci.read<u32>(p.device, mask_register(p));
    const u32 bit = 1u << message;
    pci.write<u32>(p.device, mask_register(p), masked ? bits | bit : bits & ~bit);
}

}  // namespace domus
