// SPDX-License-Identifier: GPL-2.0-or-later
// Masks the 8259s.
#include "arch_devices/pic.hpp"

#include "arch_devices/vectors.hpp"
#include "port/io.hpp"

namespace domus::x86 {

void disable_pic() {
    constexpr u16 kMaster = 0x20, kSlave = 0xa0;  // command ports; data ports follow
    constexpr u8 kInit = 0x11;                    // ICW1: edge, cascade, ICW4 follows
    port::out8(kMaster + 1, 0xff);
    port::out8(kSlave + 1, 0xff);
    port::out8(kMaster, kInit);
    port::out8(kMaster + 1, kVectorPic);
    port::out8(kMaster + 1, 1u << 2);  // the slave is on input 2
    port::out8(kMaster + 1, 0x01);     // 8086 mode
    port::out8(kSlave, kInit);
    port::out8(kSlave + 1, kVectorPic + 8);
    port::out8(kSlave + 1, 2);
    port::out8(kSlave + 1, 0x01);
    port::out8(kMaster + 1, 0xff);
    port::out8(kSlave + 1, 0xff);
}

}  // namespace domus::x86
