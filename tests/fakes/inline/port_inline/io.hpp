// SPDX-License-Identifier: GPL-2.0-or-later
// Host builds: registers are whatever the test plugs in (tests/fakes/io.hpp).
#pragma once

#include "base/types.hpp"

namespace domus::port {

u8 in8(u16 port);
u16 in16(u16 port);
u32 in32(u16 port);
void out8(u16 port, u8 v);
void out16(u16 port, u16 v);
void out32(u16 port, u32 v);

u64 fake_mmio_read(const volatile void* at, unsigned size);
void fake_mmio_write(volatile void* at, unsigned size, u64 value);
template <class T>
T mmio_read(const volatile void* at) {
    return static_cast<T>(fake_mmio_read(at, sizeof(T)));
}
template <class T>
void mmio_write(volatile void* at, T v) {
    fake_mmio_write(at, sizeof(T), static_cast<u64>(v));
}

u64 read_msr(u32 msr);
void write_msr(u32 msr, u64 v);
u64 read_tsc();
void pause();

}  // namespace domus::port
