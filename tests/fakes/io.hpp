// SPDX-License-Identifier: GPL-2.0-or-later
// Registers of the simulated machine: a test derives a device from IoBus and plugs it in for its lifetime.
#pragma once

#include <map>

#include "base/types.hpp"

namespace domus::fakes {

// The device side of every port, MMIO register and MSR. The defaults: ports float (all ones), memory-mapped
// registers are plain memory, MSRs keep what was written, the TSC advances by tsc_step a read.
class IoBus {
  public:
    IoBus();
    virtual ~IoBus();
    IoBus(const IoBus&) = delete;
    IoBus& operator=(const IoBus&) = delete;

    virtual u32 in(u16 port, unsigned size);
    virtual void out(u16 port, unsigned size, u32 value);
    virtual u64 mmio_read(const volatile void* at, unsigned size);
    virtual void mmio_write(volatile void* at, unsigned size, u64 value);
    virtual u64 read_msr(u32 msr);
    virtual void write_msr(u32 msr, u64 value);
    virtual u64 read_tsc();
    virtual void pause() {}

    std::map<u32, u64> msrs;
    u64 tsc = 0;
    u64 tsc_step = 1000;

  private:
    IoBus* outer_;
};

extern IoBus* io_bus;  // the innermost living IoBus, or nullptr

}  // namespace domus::fakes
