// SPDX-License-Identifier: GPL-2.0-or-later
// Registers of devices and of the CPU: I/O ports, memory-mapped registers, model-specific registers and the
// time-stamp counter. Drivers reach hardware only through these, so that the same driver code runs on the
// host against recorded or simulated registers (tests/fakes/io.hpp).
#pragma once

// u8  in8(u16 port);   u16 in16(u16 port);   u32 in32(u16 port);
// void out8(u16 port, u8 v);  void out16(u16 port, u16 v);  void out32(u16 port, u32 v);
// T    mmio_read<T>(const volatile void* at);      one access of exactly sizeof(T): 1, 2, 4 or 8 bytes
// void mmio_write<T>(volatile void* at, T value);
// u64  read_msr(u32 msr);  void write_msr(u32 msr, u64 value);  the register must exist
// u64  read_tsc();          ordered against loads before it
// void pause();             one step of a short busy wait that serves nobody (port/cpu.hpp has relax())
#include <port_inline/io.hpp>
