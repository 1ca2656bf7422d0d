// SPDX-License-Identifier: GPL-2.0-or-later
// How pending events are laid out in memory shared with the guest: the two-level bitmaps, or the FIFO queues.
// One row of functions per layout.
#pragma once

#include "base/result.hpp"
#include "base/types.hpp"

namespace domus {
struct Domain;
struct Vcpu;
}  // namespace domus

namespace domus::core {

struct Channel;

struct EventAbi {
    u32 max_ports;  // ports are below this
    // Called with the channel's lock held. Marks the port pending; if that is new and the guest does not mask
    // it, notifies `vcpu`.
    void (*set_pending)(Domain& d, Channel& channel, EvtPort port, Vcpu& vcpu);
    void (*clear_pending)(Domain& d, Channel& channel, EvtPort port);
    // EVTCHNOP_unmask: clears the mask and notifies if the port is pending.
    void (*unmask)(Domain& d, Channel& channel, EvtPort port, Vcpu& vcpu);
    // Any context.
    bool (*is_pending)(const Domain& d, const Channel& channel, EvtPort port);
    bool (*is_masked)(const Domain& d, const Channel& channel, EvtPort port);
};

// Bits in the shared info page and a selector word in each vcpu_info (public xen.h, struct shared_info).
extern const EventAbi kTwoLevelEvents;
extern const EventAbi kTwoLevelEvents32;  // … of a 32-bit guest: words of 32 bits, and a quarter as many
// The one that a domain begins with, and goes back to.
const EventAbi& two_level_events(const Domain& d);
// Linked queues of event words (core/event_fifo.hpp).
extern const EventAbi kFifoEvents;

// For the layouts: there is something new in this vCPU's part; its upcall becomes pending and the vCPU is
// woken or interrupted.
void mark_upcall_pending(Vcpu& vcpu);
// For the layouts: this port has just become pending; vCPUs that poll it (SCHEDOP_poll) wake up.
void wake_pollers(Domain& d, EvtPort port);

}  // namespace domus::core
