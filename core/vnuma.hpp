// SPDX-License-Identifier: GPL-2.0-or-later
// The NUMA topology that the toolstack makes a guest believe to have. Kept, told, and asked when the guest
// names one of its nodes for new memory; it changes nothing else.
#pragma once

#include <atomic>
#include <optional>

#include "abi/xen.hpp"
#include "core/quiesce.hpp"
#include "mm/box.hpp"

namespace domus::core {

struct VirtualNuma {
    u32 nodes = 0;
    Array<u32> distance;      // nodes * nodes
    Array<u32> node_of_vcpu;  // each below `nodes`
    Array<u32> host_node;     // of each node; kNoHostNode: none in particular
    Array<xen_vmemrange_t> ranges;
    Deferred deferred;
};
inline constexpr u32 kNoHostNode = ~u32{0};

// A domain's topology. Readers take no lock, because they copy what they read to guests: what get() returns
// stays until this CPU leaves the hypervisor (core/quiesce.hpp).
class VirtualNumaSlot {
  public:
    VirtualNumaSlot() = default;
    VirtualNumaSlot(const VirtualNumaSlot&) = delete;
    VirtualNumaSlot& operator=(const VirtualNumaSlot&) = delete;
    ~VirtualNumaSlot() { Box<VirtualNuma>::adopt(topology_.load(std::memory_order_relaxed)).reset(); }

    const VirtualNuma* get() const { return topology_.load(std::memory_order_acquire); }
    // The one before is freed when nobody can be reading it.
    void set(Box<VirtualNuma> topology) {
        VirtualNuma* const old = topology_.exchange(topology.release(), std::memory_order_acq_rel);
        if (old == nullptr) return;
        defer(
            old->deferred, [](void* arg) { Box<VirtualNuma>::adopt(static_cast<VirtualNuma*>(arg)).reset(); },
            old);
    }

  private:
    std::atomic<VirtualNuma*> topology_{nullptr};
};

}  // namespace domus::core
