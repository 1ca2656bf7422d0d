// SPDX-License-Identifier: GPL-2.0-or-later
// PCI configuration space: ports 0xcf8 and 0xcfc (PCI Local Bus Specification 3.0, 3.2.2.3.2) and
// memory-mapped ranges (ECAM, PCI Express Base Specification 5.0, 7.2.2), and the walk over capabilities.
#pragma once

#include <span>

#include "base/result.hpp"
#include "base/types.hpp"
#include "port/interrupt.hpp"

namespace domus {

class PciConfig {
  public:
    struct Ecam {
        u16 segment = 0;
        u8 first_bus = 0, last_bus = 0;
        volatile u8* bus0 = nullptr;  // where bus 0 of the segment would be mapped
    };

    // Makes a mapped range known; at most kMaxEcam (ENOSPC).
    Result<> add_ecam(const Ecam& range);
    static constexpr usize kMaxEcam = 16;

    // Registers below 4096 (below 256 without ECAM), naturally aligned; T is u8, u16 or u32. Reading what
    // cannot be reached gives all ones, as the bus does; writing it does nothing.
    template <class T>
    T read(PciAddress device, u32 reg) {
        return static_cast<T>(read_sized(device, reg, sizeof(T)));
    }
    template <class T>
    void write(PciAddress device, u32 reg, T v) {
        write_sized(device, reg, sizeof(T), v);
    }

    bool present(PciAddress device) { return read<u16>(device, 0) != 0xffff; }

    // The register where the capability with this id starts; 0: none. A list that loops ends the walk.
    u8 find_capability(PciAddress device, u8 id);

  private:
    u32 read_sized(PciAddress device, u32 reg, unsigned size);
    void write_sized(PciAddress device, u32 reg, unsigned size, u32 v);
    volatile u8* ecam(PciAddress device, u32 reg) const;

    Ecam ranges_[kMaxEcam];
    usize range_count_ = 0;
};

}  // namespace domus
