// SPDX-License-Identifier: GPL-2.0-or-later
// The I/O APIC's registers.
#include "arch_devices/io_apic.hpp"

#include "port/io.hpp"

namespace domus::x86 {

namespace {
constexpr u32 kIndex = 0x00, kWindow = 0x10;        // offsets of the two visible registers
constexpr u8 kVersion = 0x01, kRedirection = 0x10;  // indices; two words an entry
constexpr u32 kMaskBit = 1u << 16;
}  // namespace

u32 IoApic::read(u8 reg) const {
    port::mmio_write<u32>(page_ + kIndex, reg);
    return port::mmio_read<u32>(page_ + kWindow);
}

void IoApic::write(u8 reg, u32 v) const {
    port::mmio_write<u32>(page_ + kIndex, reg);
    port::mmio_write<u32>(page_ + kWindow, v);
}

Result<> IoApic::init(volatile void* page, Gsi first) {
    page_ = static_cast<volatile u8*>(page);
    first_ = first;
    const u32 version = read(kVersion);
    if (version == ~u32{0}) return fail(Error::nodev);
    pins_ = (version >> 16 & 0xff) + 1;
    // Two words an entry from index 0x10 on, and the index has 8 bits.
    if (pins_ > (0x100 - kRedirection) / 2) return fail(Error::nodev);
    for (u32 pin = 0; pin < pins_; pin++) set(pin, {});
    return {};
}

void IoApic::set(u32 pin, const Redirection& entry) {
    const u8 low = static_cast<u8>(kRedirection + 2 * pin);
    const u64 v = entry.encode();
    LockGuard guard(lock_);
    // A masked pin drops edges: where only the destination changes, one write does.
    constexpr u32 kReadOnly = 1u << 12 | 1u << 14;  // delivery status, remote IRR
    const bool same = (read(low) & ~kReadOnly) == static_cast<u32>(v);
    if (!same) write(low, static_cast<u32>(v) | kMaskBit);
    write(static_cast<u8>(low + 1), static_cast<u32>(v >> 32));
    if (!same && !entry.masked) write(low, static_cast<u32>(v));
}

void IoApic::set_mask(u32 pin, const Redirection& entry) {
    LockGuard guard(lock_);
    write(static_cast<u8>(kRedirection + 2 * pin), static_cast<u32>(entry.encode()));
}

u32 IoApic::read_register(u8 reg) {
    LockGuard guard(lock_);
    return read(reg);
}

u64 IoApic::get(u32 pin) {
    const u8 low = static_cast<u8>(kRedirection + 2 * pin);
    LockGuard guard(lock_);
    const u64 high = read(static_cast<u8>(low + 1));
    return high << 32 | read(low);
}

}  // namespace domus::x86
