// SPDX-License-Identifier: GPL-2.0-or-later
// What control software says of a domain and reads back (public domctl.h), without meaning to the domain's
// own work.
#pragma once

#include <atomic>

#include "abi/xen.hpp"
#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {
struct Domain;
}

namespace domus::core {

struct DomainControl {
    // One control operation on a domain at a time; who finds it taken tries anew.
    std::atomic<bool> busy{false};

    // Pauses by control software, part of Domain::pause_count. Changed under `busy`.
    std::atomic<u32> pauses{0};
    bool debugged = false;   // a debugger is attached
    bool log_dirty = false;  // its migration wants to know which pages it writes

    xen_domain_handle_t handle = {};  // its UUID
    u32 ssidref = 0;                  // security label: kept, never looked at
    u32 flags = 0;                    // XEN_DOMCTL_CDF_* it was created with
    u32 misc_flags = 0;               // XEN_X86_MSR_RELAXED
};

// Holds DomainControl::busy. Empty if somebody else has it.
class [[nodiscard]] ControlHold {
  public:
    static ControlHold try_take(Domain& d);
    ControlHold(ControlHold&& o) noexcept : busy_(o.busy_) { o.busy_ = nullptr; }
    ControlHold& operator=(ControlHold&&) = delete;
    ~ControlHold() {
        if (busy_ != nullptr) busy_->store(false, std::memory_order_release);
    }
    explicit operator bool() const { return busy_ != nullptr; }

  private:
    explicit ControlHold(std::atomic<bool>* busy) : busy_(busy) {}
    std::atomic<bool>* busy_;
};

// Pauses by control software nest up to 255 (EOVERFLOW), and it can only undo its own (EINVAL). The caller
// holds `busy`, and is no vCPU of d. On return from the first no vCPU of d is on a CPU.
Result<> control_pause(Domain& d);
Result<> control_unpause(Domain& d);

}  // namespace domus::core
