// SPDX-License-Identifier: GPL-2.0-or-later
// port/io.hpp over the plugged-in IoBus.
#include "fakes/io.hpp"

#include <cstring>

#include "port/io.hpp"

namespace domus {

namespace fakes {

IoBus* io_bus = nullptr;

IoBus::IoBus() : outer_(io_bus) { io_bus = this; }
IoBus::~IoBus() { io_bus = outer_; }

u32 IoBus::in(u16, unsigned size) { return size == 4 ? ~u32{0} : (u32{1} << (8 * size)) - 1; }
void IoBus::out(u16, unsigned, u32) {}
u64 IoBus::mmio_read(const volatile void* at, unsigned size) {
    u64 v = 0;
    std::memcpy(&v, const_cast<const void*>(at), size);
    return v;
}
void IoBus::mmio_write(volatile void* at, unsigned size, u64 value) {
    std::memcpy(const_cast<void*>(at), &value, size);
}
u64 IoBus::read_msr(u32 msr) { return msrs[msr]; }
void IoBus::write_msr(u32 msr, u64 value) { msrs[msr] = value; }
u64 IoBus::read_tsc() { return tsc += tsc_step; }

namespace {
u32 in(u16 port, unsigned size) {
    return io_bus != nullptr ? io_bus->in(port, size) : size == 4 ? ~u32{0} : (u32{1} << (8 * size)) - 1;
}
void out(u16 port, unsigned size, u32 v) {
    if (io_bus != nullptr) io_bus->out(port, size, v);
}
}  // namespace
}  // namespace fakes

namespace port {

using fakes::io_bus;

u8 in8(u16 port) { return static_cast<u8>(fakes::in(port, 1)); }
u16 in16(u16 port) { return static_cast<u16>(fakes::in(port, 2)); }
u32 in32(u16 port) { return fakes::in(port, 4); }
void out8(u16 port, u8 v) { fakes::out(port, 1, v); }
void out16(u16 port, u16 v) { fakes::out(port, 2, v); }
void out32(u16 port, u32 v) { fakes::out(port, 4, v); }

u64 fake_mmio_read(const volatile void* at, unsigned size) {
    if (io_bus != nullptr) return io_bus->mmio_read(at, size);
    u64 v = 0;
    std::memcpy(&v, const_cast<const void*>(at), size);
    return v;
}
void fake_mmio_write(volatile void* at, unsigned size, u64 value) {
    if (io_bus != nullptr)
        io_bus->mmio_write(at, size, value);
    else
        std::memcpy(const_cast<void*>(at), &value, size);
}

u64 read_msr(u32 msr) { return io_bus != nullptr ? io_bus->read_msr(msr) : 0; }
void write_msr(u32 msr, u64 v) {
    if (io_bus != nullptr) io_bus->write_msr(msr, v);
}
u64 read_tsc() {
    static u64 tsc = 0;
    return io_bus != nullptr ? io_bus->read_tsc() : tsc += 1000;
}
void pause() {
    if (io_bus != nullptr) io_bus->pause();
}

}  // namespace port
}  // namespace domus
